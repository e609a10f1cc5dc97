-- Report a failed attempt: it is retried by the policy, or it ends the execution.
local fence = require("lib.fence")
local finish = require("lib.finish")
local keys = require("lib.keys")
local lease = require("lib.lease")
local op = require("lib.op")
local record = require("lib.record")
local retry = require("lib.retry")
local stream = require("lib.stream")
local transition = require("lib.transition")
local values = require("lib.values")

local function replay(rest)
  local retry_at = rest:match("^retry (%d+)$")
  if retry_at ~= nil then
    return op.outcome("retry_scheduled", { retry_at = retry_at, replayed = true })
  end
  return op.outcome("failed", { replayed = true })
end

return op.define({
  name = "execution.fail",
  events = { "fail" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "digest:digest",
    "class:class",
    "failure:failure",
    "random_ppm:random_ppm",
  },
  returns = {
    retry_scheduled = { "retry_at:int", "replayed:flag" },
    failed = { "replayed:flag" },
  },
  run = function(arg, now_ms)
    local x, answer = fence.check_settle("fail", arg, now_ms, replay)
    if x == nil then
      return answer
    end
    local retry_at = retry.at(x, arg.class, arg.random_ppm, now_ms)
    transition.apply(x, "fail", { retryLeft = retry_at ~= nil })
    if retry_at == nil then
      fence.settle(x, "fail", arg.digest, "final")
      record.set(x, "class", arg.class)
      finish.commit(x, "failed", arg.failure, now_ms)
      return op.outcome("failed", { replayed = false })
    end
    fence.settle(x, "fail", arg.digest, string.format("retry %.0f", retry_at))
    lease.log_attempt(x, arg.class, now_ms)
    stream.close(x, "attempt_failure", now_ms)
    record.set(x, "class", arg.class)
    record.set(x, "retries", (record.number(x, "retries") or 0) + 1)
    record.set(x, "not_before", retry_at)
    values.write(keys.ending(x.id), arg.failure)
    transition.commit(x, now_ms)
    return op.outcome("retry_scheduled", { retry_at = retry_at, replayed = false })
  end,
})
