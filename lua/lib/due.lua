-- Everything that happens because its time has come, in one order of precedence.
local admission = require("lib.admission")
local backlog = require("lib.backlog")
local cascade = require("lib.cascade")
local exhaustion = require("lib.exhaustion")
local finish = require("lib.finish")
local flow = require("lib.flow")
local gates = require("lib.gates")
local keys = require("lib.keys")
local lease = require("lib.lease")
local limit = require("lib.limit")
local limits = require("generated.limits")
local pending = require("lib.pending")
local quarantine = require("lib.quarantine")
local record = require("lib.record")
local resume = require("lib.resume")
local retry = require("lib.retry")
local slots = require("lib.slots")
local stream = require("lib.stream")
local transition = require("lib.transition")
local values = require("lib.values")

local due = {}

local function is_due(x, field, now_ms)
  local at_ms = record.number(x, field)
  return at_ms ~= nil and at_ms <= now_ms
end

local function ended(x)
  return x.f.ended_at ~= nil
end

local function time_out(x, now_ms)
  -- Half of the jitter: nobody is there to draw a number.
  local retry_at = retry.at(x, "timeout", 500000, now_ms)
  local leaf = transition.apply(x, "timeOut", { retryLeft = retry_at ~= nil })
  if leaf == "delayed.retry" then
    lease.log_attempt(x, "timeout", now_ms)
    stream.close(x, "attempt_timeout", now_ms)
    record.set(x, "retries", (record.number(x, "retries") or 0) + 1)
    record.set(x, "not_before", retry_at)
    values.remove(keys.ending(x.id))
    transition.commit(x, now_ms)
  else
    finish.commit(x, "attempt_timeout", nil, now_ms)
  end
end

-- Takes a lease away after it ran out or was revoked.
function due.lose_lease(x, event, now_ms)
  local allowed = record.number(x, "reclaims_max") or limits.reclaims_default
  local exhausted = (record.number(x, "reclaims") or 0) >= allowed
  transition.apply(x, event, { reclaimsExhausted = exhausted })
  if exhausted then
    finish.commit(x, "max_reclaims_exceeded", nil, now_ms)
  else
    transition.commit(x, now_ms)
  end
end

-- Applies to one execution whatever is due: the end of its flow, then deadline, attempt timeout,
-- lease expiry, the end of a suspension's time, lapsed grants and delays. Returns whether anything
-- changed.
function due.apply(x, now_ms)
  local f = x.f
  if ended(x) then
    return false
  end
  if f.flow ~= nil and flow.dooms(flow.of(x), x) then
    cascade.cancel(x, now_ms)
    return true
  end
  -- Most work has none of these times, and asking costs more than looking.
  if f.deadline_at ~= nil and is_due(x, "deadline_at", now_ms) then
    transition.apply(x, "expire", {})
    finish.commit(x, "deadline", nil, now_ms)
    return true
  end
  if f.state == "leased.held" then
    if is_due(x, "attempt_deadline_at", now_ms) then
      time_out(x, now_ms)
      return true
    end
    if record.need(x, "expires_at") <= now_ms then
      due.lose_lease(x, "loseLease", now_ms)
      return true
    end
    return false
  end
  if f.state == "suspended" then
    if is_due(x, "wait_until", now_ms) then
      resume.lapse(x, now_ms)
      return true
    end
    return false
  end
  local changed = false
  if f.grant_until ~= nil and is_due(x, "grant_until", now_ms) then
    record.set(x, "grant_id", nil)
    record.set(x, "grant_worker", nil)
    record.set(x, "grant_until", nil)
    changed = true
  end
  if f.permit_until ~= nil and is_due(x, "permit_until", now_ms) then
    slots.give_back(x)
    changed = true
  end
  local is_over = f.not_before ~= nil and is_due(x, "not_before", now_ms)
  if is_over and transition.accepts(x, "promote") then
    gates.facts(x, now_ms)
    transition.apply(x, "promote", {})
    changed = true
  end
  if changed then
    transition.commit(x, now_ms)
  end
  return changed
end

local function promote_from(key, now_ms, count)
  -- What the index before this one moved is not due twice.
  pending.flush()
  local ids =
    redis.call("ZRANGEBYSCORE", key, "-inf", string.format("%.0f", now_ms), "LIMIT", 0, count)
  for _, id in ipairs(ids) do
    local bucket = limit.bucket_of_row(id)
    local x = bucket == nil and quarantine.load(id)
    if bucket ~= nil then
      admission.open(bucket, now_ms)
    elseif x == nil then
      pending.remove_row(key, id)
    else
      due.apply(x, now_ms)
    end
  end
  return #ids
end

-- Applies what is due in this partition, at most `count` executions. Returns how many there were.
function due.promote(now_ms, count)
  backlog.drain(now_ms, limits.work_per_call)
  local done = promote_from(keys.index("leased"), now_ms, count)
  if done < count then
    done = done + promote_from(keys.index("delayed"), now_ms, count - done)
  end
  if done < count then
    done = done + promote_from(keys.timers(), now_ms, count - done)
  end
  exhaustion.go_on(now_ms, count)
  return done
end

-- The next time at which something becomes due, or nil.
function due.next_at(now_ms)
  if backlog.is_kept() or exhaustion.is_admitting() then
    return now_ms
  end
  pending.flush()
  local next_ms
  for _, key in ipairs({ keys.index("leased"), keys.index("delayed"), keys.timers() }) do
    local head = redis.call("ZRANGE", key, 0, 0, "WITHSCORES")
    local at_ms = tonumber(head[2])
    if at_ms ~= nil and (next_ms == nil or at_ms < next_ms) then
      next_ms = at_ms
    end
  end
  return next_ms
end

return due
