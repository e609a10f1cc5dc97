-- The check that a caller still owns the execution, in its one fixed order.
local corruption = require("lib.corruption")
local digits = require("lib.digits")
local due = require("lib.due")
local flow = require("lib.flow")
local keys = require("lib.keys")
local op = require("lib.op")
local record = require("lib.record")
local values = require("lib.values")

local fence = {}

local function owns(x, arg)
  return x.f.lease_id == arg.lease_id
    and x.f.epoch == digits.of(arg.epoch)
    and x.f.attempt == digits.of(arg.attempt)
end

-- What was ever under a lease says so; without it nobody could tell whose it is.
local function require_lease(x)
  if x.f.lease_id == nil then
    corruption.tell(x.key, "lease_id", "is missing")
  end
  record.need(x, "epoch")
  record.need(x, "attempt")
end

-- Tells a refused caller where the execution is now, and what was said when it was cancelled.
function fence.not_active(x)
  local details = {
    state = x.f.state,
    epoch = x.f.epoch or "0",
    attempt = x.f.attempt or "",
    reason = x.f.reason or "",
  }
  if x.f.state == "terminal.cancelled" then
    details.message = values.read(keys.ending(x.id)) or nil
  end
  return op.refuse("execution_not_active", details)
end

local function leased(x)
  return x.f.state:sub(1, 7) == "leased."
end

-- Loads the execution for the holder of its lease. Returns it, or nil and the refusal, or nil, the
-- settlement of this very lease and the execution.
function fence.check(arg, now_ms)
  local x = record.load(arg.id)
  if x == nil then
    return nil, op.refuse("execution_not_found", {})
  end
  due.apply(x, now_ms)
  if leased(x) then
    require_lease(x)
  end
  local own = owns(x, arg)
  if not leased(x) then
    if own and x.f.settled ~= nil then
      return nil, fence.not_active(x), x
    end
    return nil, fence.not_active(x)
  end
  if not own then
    return nil, op.refuse("stale_lease", { epoch = x.f.epoch, attempt = x.f.attempt })
  end
  if x.f.state == "leased.revoked" then
    return nil, op.refuse("lease_revoked", {})
  elseif x.f.state == "leased.expired" then
    return nil, op.refuse("lease_expired", {})
  end
  return x
end

local function is_ahead(x, field, now_ms)
  return x.f[field] == nil or record.number(x, field) > now_ms
end

-- Like check, for the calls that come most often and change nothing of the lifecycle: nothing is
-- done as long as nothing is due.
function fence.glance(arg, now_ms)
  local x = record.load(arg.id)
  if
    x ~= nil
    and x.f.state == "leased.held"
    and owns(x, arg)
    and record.need(x, "expires_at") > now_ms
    and is_ahead(x, "attempt_deadline_at", now_ms)
    and is_ahead(x, "deadline_at", now_ms)
    and (x.f.flow == nil or not flow.dooms(flow.of(x), x))
  then
    return x
  end
  local _, refusal = fence.check(arg, now_ms)
  return nil, refusal
end

-- Like check, for the operations that give the lease back: the same call again is recognised by
-- its settlement. Returns the execution, or nil and the answer.
function fence.check_settle(operation, arg, now_ms, replay)
  local x, refusal, settled = fence.check(arg, now_ms)
  if settled == nil then
    return x, refusal
  end
  local by, digest, rest = settled.f.settled:match("^(%S+) (%S+) ?(.*)$")
  if by == nil then
    corruption.tell(settled.key, "settled", "does not parse")
  end
  if by == operation and digest == arg.digest then
    return nil, replay(rest)
  end
  return nil, op.refuse("already_settled", { operation = by, outcome = rest })
end

-- Records what this lease was given back for, so that the same call can be answered again.
function fence.settle(x, operation, digest, rest)
  record.set(x, "settled", operation .. " " .. digest .. (rest and " " .. rest or ""))
end

return fence
