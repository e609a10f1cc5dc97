-- Park the execution until a time, or hand it back at once when that time has come already.
local fence = require("lib.fence")
local gates = require("lib.gates")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

return op.define({
  name = "execution.delay",
  events = { "delay" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "digest:digest",
    "until_ms:ms",
  },
  returns = { delayed = { "replayed:flag" } },
  run = function(arg, now_ms)
    if arg.until_ms > now_ms + limits.delay_ahead_ms then
      return op.refuse("invalid_input", { argument = "until_ms", why = "is over a year ahead" })
    end
    local x, answer = fence.check_settle("delay", arg, now_ms, function()
      return op.outcome("delayed", { replayed = true })
    end)
    if x == nil then
      return answer
    end
    local attempt_deadline_at = record.number(x, "attempt_deadline_at")
    record.set(x, "parked", 1)
    record.set(x, "not_before", arg.until_ms)
    transition.apply(x, "delay", gates.facts(x, now_ms))
    fence.settle(x, "delay", arg.digest)
    if attempt_deadline_at ~= nil then
      -- The attempt's clock stands still while it is parked.
      record.set(x, "attempt_left_ms", attempt_deadline_at - now_ms)
    end
    transition.commit(x, now_ms)
    return op.outcome("delayed", { replayed = false })
  end,
})
