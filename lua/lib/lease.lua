-- Giving a lease and taking it back.
local claimed = require("lib.claimed")
local inputs = require("lib.inputs")
local keys = require("lib.keys")
local leases = require("lib.leases")
local limits = require("generated.limits")
local record = require("lib.record")
local stream = require("lib.stream")
local transition = require("lib.transition")
local values = require("lib.values")

local lease = {}

-- Remembers how an attempt ended that is not the execution's last word.
function lease.log_attempt(x, how, now_ms)
  local entry = table.concat({
    x.f.attempt,
    x.f.attempt_type or "initial",
    x.f.epoch,
    x.f.worker,
    x.f.started_at,
    string.format("%.0f", now_ms),
    how,
  }, " ")
  local key = keys.attempts(x.id)
  redis.call("RPUSH", key, entry)
  redis.call("LTRIM", key, -limits.attempt_log_max, -1)
end

-- Remembers how the execution had ended with its last attempt, unless that attempt was remembered
-- before: it may have failed and waited for a retry when the execution was cancelled.
function lease.log_last_attempt(x, how)
  local last = redis.call("LINDEX", keys.attempts(x.id), -1)
  if not last or last:match("^%d+") ~= x.f.attempt then
    lease.log_attempt(x, how, record.number(x, "ended_at"))
  end
end

local function attempt_type(x, reclaimed)
  if reclaimed then
    return "reclaim"
  elseif x.f.replaying ~= nil then
    return "replay"
  end
  return x.f.attempt ~= nil and "retry" or nil
end

-- Returns how long the new attempt may take, if that is limited.
local function begin_attempt(x, lost, now_ms)
  if lost then
    lease.log_attempt(x, lost, now_ms)
    stream.close(x, "reclaimed", now_ms)
    record.set(x, "reclaims", (record.number(x, "reclaims") or 0) + 1)
  end
  record.set(x, "attempt_type", attempt_type(x, lost))
  record.set(x, "attempt", (record.number(x, "attempt") or -1) + 1)
  record.set(x, "started_at", now_ms)
  record.set(x, "replaying", nil)
  if x.f.progress ~= nil or x.f.noted ~= nil then
    record.set(x, "progress", nil)
    record.set(x, "noted", nil)
    values.remove(keys.note(x.id))
  end
  return record.number(x, "attempt_timeout_ms")
end

local function continue_attempt(x)
  local left_ms = record.number(x, "attempt_left_ms")
  record.set(x, "parked", nil)
  record.set(x, "attempt_left_ms", nil)
  return left_ms
end

local lost_by = { ["leased.expired"] = "expired", ["leased.revoked"] = "revoked" }

-- Puts the execution under a new lease and commits it. A new attempt begins unless an interrupted
-- one continues.
function lease.grant(x, lease_id, arg, now_ms, now_us)
  local lost = lost_by[x.f.state]
  local continues = x.f.parked ~= nil
  transition.apply(x, "claim", {})
  local left_ms
  if continues then
    left_ms = continue_attempt(x)
  else
    left_ms = begin_attempt(x, lost, now_ms)
  end
  -- The server's microseconds keep the epoch growing even when a failover lost the newest writes.
  record.set(x, "epoch", math.max((record.number(x, "epoch") or 0) + 1, now_us))
  record.set(x, "lease_id", lease_id)
  record.set(x, "lease_kind", (continues or lost) and "resumed" or nil)
  record.set(x, "lease_ms", arg.lease_ms)
  record.set(x, "expires_at", now_ms + arg.lease_ms)
  record.set(x, "worker", arg.worker)
  record.set(x, "attempt_deadline_at", left_ms and now_ms + left_ms)
  record.set(x, "settled", nil)
  if x.f.grant_id ~= nil then
    record.set(x, "grant_id", nil)
    record.set(x, "grant_worker", nil)
    record.set(x, "grant_until", nil)
  end
  leases.enter(arg.lease_id, lease_id, x.id)
  transition.commit(x, now_ms)
end

-- Adds the execution as its new holder gets it; it is one of at most `count` that are claimed
-- together.
function lease.hand_out(rows, x, count)
  local f = x.f
  claimed.add(
    rows,
    x.id,
    f.lease_kind or "fresh",
    f.lane,
    f.task,
    f.attempt,
    f.attempt_type or "initial",
    f.lease_id,
    f.epoch,
    f.lease_ms,
    f.expires_at,
    f.attempt_deadline_at,
    f.created_at,
    inputs.with_claim(x.id, f.large ~= nil, count)
  )
end

return lease
