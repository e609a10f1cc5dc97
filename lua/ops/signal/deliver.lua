-- Accept one signal at a waitpoint: kept until its suspension, or offered to the condition at once.
local corruption = require("lib.corruption")
local due = require("lib.due")
local feed = require("lib.feed")
local keyring = require("lib.keyring")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local resume = require("lib.resume")
local signals = require("lib.signals")
local suspension = require("lib.suspension")
local transition = require("lib.transition")
local waitpoints = require("lib.waitpoints")

-- Who shows a token of a key that does not count, or for a waitpoint that is not the execution's
-- own, learns nothing else.
local function authenticate(x, arg, now_ms)
  local problem = keyring.problem(arg.kid, now_ms)
  if problem then
    return op.refuse(problem, {})
  end
  -- Any key that counts may have signed: a long wait outlives the key that it began with.
  local point = waitpoints.load(x, arg.waitpoint)
  if point == nil or tonumber(point.attempt) ~= arg.attempt then
    return op.refuse("invalid_token", {})
  end
end

-- A signal that was accepted before, told again; or a refusal when its id has another content.
local function known(x, arg)
  local signal = signals.find(x, arg.signal, arg.waitpoint, arg.key)
  if signal == nil then
    return nil
  elseif not signal.by_key and signal.digest ~= arg.digest then
    return op.refuse("invalid_input", { argument = "signal", why = "was used for another signal" })
  end
  return op.outcome("duplicate", { signal = signal.id, effect = signal.effect })
end

local function closed(arg)
  return op.refuse("waitpoint_closed", { waitpoint = arg.waitpoint })
end

-- Whether the waitpoint takes signals now; else the refusal.
local function late(x, arg, point, now_ms)
  if not transition.accepts(x, "cancelExecution") then
    return op.refuse("target_not_signalable", { state = x.f.state })
  elseif point.state == "active" then
    -- Bound to an earlier suspension it is closed, even if nobody closed it.
    return point.suspension ~= x.f.suspension and closed(arg) or nil
  elseif point.state ~= "pending" or not waitpoints.alive(x, point) then
    return closed(arg)
  end
  return waitpoints.expired(point, now_ms) and closed(arg) or nil
end

local function exceeded(which, max)
  return op.refuse("signal_limit_exceeded", { limit = which, max = max })
end

-- Whether somebody sent too much; else how often this sender sent in its window.
local function limited(x, point, s, signal, now_ms)
  local policy = signals.policy()
  if signal.position > policy.signals_per_execution then
    return exceeded("signals_per_execution", policy.signals_per_execution)
  elseif s and corruption.number(s.key, "count", s.f.count) >= policy.signals_per_suspension then
    return exceeded("signals_per_suspension", policy.signals_per_suspension)
  elseif not s and tonumber(point.count) >= limits.buffered_signals then
    return exceeded("buffered_signals", limits.buffered_signals)
  end
  local sent, began = signals.sent(x, signal, now_ms, policy.sender_window_ms)
  if sent >= policy.signals_per_sender then
    local wait_ms = began + policy.sender_window_ms - now_ms
    return op.refuse("signal_rate_limited", { retry_after_ms = wait_ms })
  end
  return nil, sent, began
end

local function signal_of(x, arg, point, now_ms)
  return {
    position = signals.count(x) + 1,
    id = arg.signal,
    waitpoint = arg.waitpoint,
    name = arg.name or point.key,
    category = arg.category,
    source = arg.source,
    encoding = arg.encoding,
    accepted_at = now_ms,
    created_at = arg.created_at or nil,
    effect = "buffered_for_pending_waitpoint",
    digest = arg.digest,
    identity = arg.identity,
    correlation = arg.correlation,
    key = arg.key or "",
  }
end

-- Stores the signal and lets it count. Nothing in here can fail.
local function accept(x, arg, point, s, signal, now_ms)
  local met, additions
  if s then
    -- Its effect is stored with it.
    signal.effect, met, additions = suspension.offer(s, suspension.tree(s), signal)
  end
  signals.append(x, signal, arg.payload or nil)
  feed.add(x, "signal", signal.effect, "signal")
  point.count = tonumber(point.count) + 1
  point.last_at = now_ms
  if not s then
    waitpoints.append(point, "buffered", signal.position)
    waitpoints.save(x, point)
    return
  end
  local fields = { count = suspension.number(s, "count") + 1, last_at = now_ms }
  for _, token in ipairs(additions) do
    fields["+" .. token] = signal.position
  end
  suspension.update(x, s, fields)
  if #additions > 0 then
    waitpoints.append(point, "matched", signal.position)
  end
  waitpoints.save(x, point)
  if met then
    resume.by_signal(x, s, signal.position, now_ms)
  end
end

return op.define({
  name = "signal.deliver",
  events = { "resume" },
  args = {
    "id:id",
    "attempt:index",
    "waitpoint:digest",
    "kid:kid",
    "signal:digest",
    "digest:digest",
    "name:signal_name?",
    "category:signal_category",
    "source:signal_source",
    "identity:label",
    "correlation:label",
    "encoding:word",
    "key:label?",
    "created_at:ms?",
    "payload:signal_payload?",
  },
  returns = {
    accepted = { "effect:text" },
    duplicate = { "signal:text", "effect:text" },
  },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    local forged = authenticate(x, arg, now_ms)
    if forged then
      return forged
    end
    due.apply(x, now_ms)
    local before = known(x, arg)
    if before then
      return before
    end
    local point = waitpoints.load(x, arg.waitpoint)
    local refusal = late(x, arg, point, now_ms)
    if refusal then
      return refusal
    end
    local signal = signal_of(x, arg, point, now_ms)
    local s = point.state == "active" and suspension.load(x) or nil
    local too_much, sent, began = limited(x, point, s, signal, now_ms)
    if too_much then
      return too_much
    end
    accept(x, arg, point, s, signal, now_ms)
    signals.note_sent(x, signal, sent + 1, began)
    return op.outcome("accepted", { effect = signal.effect })
  end,
})
