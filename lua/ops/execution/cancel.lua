-- Let the worker that holds the lease end the execution as cancelled.
local fence = require("lib.fence")
local finish = require("lib.finish")
local op = require("lib.op")
local transition = require("lib.transition")

return op.define({
  name = "execution.cancel",
  events = { "cancel" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "digest:digest",
    "why:text",
  },
  returns = { cancelled = { "replayed:flag" } },
  run = function(arg, now_ms)
    local x, answer = fence.check_settle("cancel", arg, now_ms, function()
      return op.outcome("cancelled", { replayed = true })
    end)
    if x == nil then
      return answer
    end
    transition.apply(x, "cancel", {})
    fence.settle(x, "cancel", arg.digest)
    finish.commit(x, "cancelled_by_worker", arg.why, now_ms)
    return op.outcome("cancelled", { replayed = false })
  end,
})
