-- End any unfinished execution as cancelled, whoever holds it.
local fence = require("lib.fence")
local finish = require("lib.finish")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

return op.define({
  name = "execution.cancel_by_operator",
  events = { "cancelExecution" },
  args = { "id:id", "why:text" },
  returns = { cancelled = { "from:text", "replayed:flag" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    if x.f.state == "terminal.cancelled" then
      return op.outcome("cancelled", { from = x.f.state, replayed = true })
    end
    if not transition.accepts(x, "cancelExecution") then
      return fence.not_active(x)
    end
    local from = x.f.state
    transition.apply(x, "cancelExecution", {})
    finish.commit(x, "cancelled_by_operator", arg.why, now_ms)
    return op.outcome("cancelled", { from = from, replayed = false })
  end,
})
