-- Give the lease back until signals come; when they have come already the lease is kept.
local condition = require("lib.condition")
local fence = require("lib.fence")
local keyring = require("lib.keyring")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local signals = require("lib.signals")
local suspension = require("lib.suspension")
local transition = require("lib.transition")
local waitpoints = require("lib.waitpoints")

local function rows_of(x, s)
  return signals.rows(x, suspension.satisfiers(s))
end

local function invalid(argument, why)
  return op.refuse("invalid_input", { argument = argument, why = why })
end

-- When the suspension's time is over, if ever; or nil and a refusal.
local function deadline(arg, now_ms)
  local at_ms = arg.timeout_ms and now_ms + arg.timeout_ms or arg.timeout_at or nil
  if at_ms ~= nil and at_ms < now_ms - limits.deadline_skew_ms then
    return nil, invalid("timeout_at", "is in the past")
  elseif at_ms == nil and arg.condition == "timeout" then
    return nil, invalid("timeout_at", "is missing: nothing else would resume it")
  end
  return at_ms
end

-- A waitpoint that was issued before, or nil and a refusal.
local function issued(x, item, now_ms)
  local point = waitpoints.load(x, item.id)
  if point == nil then
    return nil, op.refuse("waitpoint_not_found", { waitpoint = item.id })
  elseif point.state ~= "pending" then
    return nil, op.refuse("waitpoint_not_pending", { waitpoint = item.id, state = point.state })
  elseif not waitpoints.alive(x, point) then
    return nil, op.refuse("invalid_waitpoint_for_execution", { waitpoint = item.id })
  elseif waitpoints.expired(point, now_ms) then
    return nil, op.refuse("pending_waitpoint_expired", { waitpoint = item.id })
  end
  return point
end

-- A waitpoint that begins with this suspension, or nil and a refusal.
local function fresh(x, item, now_ms)
  if waitpoints.load(x, item.id) ~= nil then
    return nil, op.refuse("waitpoint_already_exists", { waitpoint = item.id })
  end
  if not keyring.is_current(item.kid) then
    return nil, op.refuse("signing_key_replaced", { kid = item.kid })
  end
  return waitpoints.new(x, item.id, item.key, item.kid, "attempt", now_ms)
end

-- The waitpoints that the suspension is bound to, or nil and the first refusal.
local function bind(x, items, now_ms)
  local points, ids, known = {}, {}, {}
  for position, item in ipairs(items) do
    local find = item.key and fresh or issued
    local point, refusal = find(x, item, now_ms)
    if point == nil then
      return nil, refusal
    elseif known[point.key] then
      return nil, invalid("waitpoints", "name the key " .. point.key .. " twice")
    end
    known[point.key] = true
    points[position], ids[position] = point, item.id
  end
  if not waitpoints.room(x, #points) then
    return nil, op.refuse("waitpoint_limit_exceeded", {})
  end
  return points, ids
end

-- The signals that came before the suspension, in the order of their acceptance.
local function buffered(x, points)
  local positions, of = {}, {}
  for _, point in ipairs(points) do
    for position in (point.buffered or ""):gmatch("%d+") do
      position = tonumber(position)
      positions[#positions + 1] = position
      of[position] = point
    end
  end
  table.sort(positions)
  local found = {}
  for place, position in ipairs(positions) do
    found[place] = { signal = signals.load(x, position), point = of[position] }
  end
  return found
end

-- Offers the early signals to the condition. Returns the position of the one that met it.
local function offer_buffered(s, tree, early)
  local closer
  for _, entry in ipairs(early) do
    local effect, met, additions = suspension.offer(s, tree, entry.signal)
    if met and closer then
      effect = "appended_to_waitpoint"
    end
    entry.signal.effect = effect
    closer = closer or (met and entry.signal.position) or nil
    if #additions > 0 then
      waitpoints.append(entry.point, "matched", entry.signal.position)
    end
  end
  return closer
end

local function fields_of(x, arg, at_ms, now_ms)
  return {
    id = arg.suspension,
    attempt = x.f.attempt,
    epoch = x.f.epoch,
    reason = arg.reason,
    by = arg.requested_by,
    at = now_ms,
    timeout_at = at_ms,
    behaviour = arg.behaviour,
    condition = arg.condition,
    delay_ms = arg.resume_delay_ms or nil,
    pointer = arg.pointer or nil,
    count = 0,
  }
end

-- The signals had come already: the worker goes on under its lease.
local function satisfied(x, s, points, closer, now_ms)
  s.f.closed_at, s.f.closed, s.f.closer = now_ms, "resumed", closer
  suspension.store(x, s)
  for _, point in ipairs(points) do
    point.suspension = s.f.id
    waitpoints.close(x, point, "resumed", now_ms)
  end
  return op.outcome("satisfied", { signals = rows_of(x, s), replayed = false })
end

local function park(x, arg, s, points, now_ms)
  suspension.store(x, s)
  for _, point in ipairs(points) do
    point.state, point.suspension = "active", s.f.id
    waitpoints.save(x, point)
  end
  local attempt_deadline_at = record.number(x, "attempt_deadline_at")
  if attempt_deadline_at ~= nil then
    -- The attempt's clock stands still while it waits.
    record.set(x, "attempt_left_ms", attempt_deadline_at - now_ms)
  end
  local at_ms = s.f.timeout_at
  record.set(x, "parked", 1)
  record.set(x, "suspension", s.f.id)
  record.set(x, "wait_until", at_ms)
  transition.apply(x, "suspend", {})
  fence.settle(x, "suspend", arg.digest, at_ms and string.format("%.0f", at_ms) or nil)
  transition.commit(x, now_ms)
  return op.outcome("suspended", { timeout_at = at_ms, replayed = false })
end

local function replay(rest)
  return op.outcome("suspended", { timeout_at = rest ~= "" and rest or nil, replayed = true })
end

-- An equal call under the same lease that was answered with signals, or nil.
local function satisfied_before(x, arg)
  local s = suspension.load(x)
  if s ~= nil and s.f.id == arg.suspension and s.f.epoch == x.f.epoch then
    return op.outcome("satisfied", { signals = rows_of(x, s), replayed = true })
  end
end

return op.define({
  name = "execution.suspend",
  events = { "suspend" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "digest:digest",
    "suspension:digest",
    "points:points",
    "condition:condition",
    "reason:word",
    "requested_by:word",
    "behaviour:behaviour",
    "timeout_at:ms?",
    "timeout_ms:span_ms?",
    "resume_delay_ms:span_ms?",
    "pointer:text?",
  },
  returns = {
    suspended = { "timeout_at:int?", "replayed:flag" },
    satisfied = { "signals:signal", "replayed:flag" },
  },
  run = function(arg, now_ms)
    local x, answer = fence.check_settle("suspend", arg, now_ms, replay)
    if x == nil then
      return answer
    end
    local before = satisfied_before(x, arg)
    if before then
      return before
    end
    local at_ms, refusal = deadline(arg, now_ms)
    if refusal then
      return refusal
    end
    local tree, why = condition.parse(arg.condition, #arg.points)
    if tree == nil then
      return op.refuse("invalid_resume_condition", { why = why })
    end
    local points, ids = bind(x, arg.points, now_ms)
    if points == nil then
      return ids
    end
    local s = suspension.new(fields_of(x, arg, at_ms, now_ms), ids)
    local early = buffered(x, points)
    local closer = offer_buffered(s, tree, early)
    -- Nothing was written above this line, and nothing below it can fail.
    for _, entry in ipairs(early) do
      signals.save(x, entry.signal)
    end
    s.f.count = #early
    if closer then
      return satisfied(x, s, points, closer, now_ms)
    end
    return park(x, arg, s, points, now_ms)
  end,
})
