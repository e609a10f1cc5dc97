-- Whether a failure is retried and when: the one place that decides it.
local corruption = require("lib.corruption")
local flow = require("lib.flow")
local limits = require("generated.limits")
local record = require("lib.record")

local retry = {}

-- A stored policy: "<attempts> <fixed|exponential> <first ms> <longest ms> <multiplier/1000>
-- <jitter 0|1> <letters of the retried classes>".
local pattern = "^(%d+) (%l+) (%d+) (%d+) (%d+) ([01]) ([tpioc]*)$"

-- Reads a policy, or returns nil when the text is none.
function retry.parse(text)
  local attempts, backoff, first_ms, longest_ms, multiplier, jitter, classes = text:match(pattern)
  if attempts == nil or (backoff ~= "fixed" and backoff ~= "exponential") then
    return nil
  end
  return {
    attempts = tonumber(attempts),
    exponential = backoff == "exponential",
    first_ms = tonumber(first_ms),
    longest_ms = tonumber(longest_ms),
    multiplier = tonumber(multiplier) / 1000,
    jitter = jitter == "1",
    classes = classes,
  }
end

-- The wait before retry number `n` (from 0). Repeated multiplication, so that both backends round
-- alike; it stops growing at the longest wait.
function retry.backoff_ms(policy, n, random_ppm)
  local delay_ms = policy.first_ms
  if policy.exponential then
    for _ = 1, n do
      delay_ms = delay_ms * policy.multiplier
      if delay_ms >= policy.longest_ms or policy.multiplier == 1 then
        break
      end
    end
  end
  delay_ms = math.min(delay_ms, policy.longest_ms)
  if policy.jitter then
    delay_ms = delay_ms * random_ppm / 1000000
  end
  return math.max(1, math.floor(delay_ms))
end

-- When to try again after a failure of this class, or nil when it is final.
function retry.at(x, class, random_ppm, now_ms)
  if x.f.retry == nil or (x.f.flow ~= nil and flow.bars_retry(x)) then
    return nil
  end
  local policy = retry.parse(x.f.retry) or corruption.tell(x.key, "retry", "does not parse")
  local retries = record.number(x, "retries") or 0
  if retries + 1 >= policy.attempts then
    return nil
  end
  if not policy.classes:find(limits.failure_classes[class], 1, true) then
    return nil
  end
  local at_ms = now_ms + retry.backoff_ms(policy, retries, random_ppm)
  local deadline_at = record.number(x, "deadline_at")
  if deadline_at ~= nil and at_ms >= deadline_at then
    return nil
  end
  return at_ms
end

return retry
