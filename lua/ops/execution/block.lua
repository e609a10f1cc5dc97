-- Hold work back until an operator lets it go; a time that it waits for is kept.
local due = require("lib.due")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

return op.define({
  name = "execution.block",
  events = { "block" },
  args = { "id:id", "why:word" },
  returns = { blocked = { "replayed:flag" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    -- A grant that has lapsed must not protect the work any longer.
    due.apply(x, now_ms)
    if x.f.block_reason == arg.why then
      return op.outcome("blocked", { replayed = true })
    end
    local held = x.f.block_reason ~= nil or x.f.grant_id ~= nil
    if held or not transition.accepts(x, "block") then
      return op.refuse("execution_not_eligible", { state = x.f.state })
    end
    transition.apply(x, "block", {})
    record.set(x, "block_reason", arg.why)
    transition.commit(x, now_ms)
    return op.outcome("blocked", { replayed = false })
  end,
})
