-- Accept new work, or answer with the execution that the same idempotency key already made.
local gates = require("lib.gates")
local keys = require("lib.keys")
local lanes = require("lib.lanes")
local limits = require("generated.limits")
local op = require("lib.op")
local pending = require("lib.pending")
local record = require("lib.record")
local transition = require("lib.transition")

-- The key's record lives as long as its execution, in the partition of the key's own hash, so that
-- two submitters can never both create.
local function known(arg)
  if arg.key then
    if not arg.fingerprint then
      return op.refuse("invalid_input", { argument = "fingerprint", why = "is missing" })
    end
    local stored = redis.call("GET", keys.idempotency(arg.key))
    if stored then
      local id, fingerprint = stored:match("^(%S+) (%S+)$")
      if fingerprint ~= arg.fingerprint then
        return op.refuse("idempotency_mismatch", { existing = id })
      end
      return op.outcome("duplicate", { id = id })
    end
  end
  if redis.call("EXISTS", keys.execution(arg.id)) == 1 then
    return op.outcome("duplicate", { id = arg.id })
  end
end

local function times(arg, now_ms)
  local not_before = arg.not_before or (arg.delay_ms and now_ms + arg.delay_ms) or nil
  local deadline_at = arg.deadline_at or (arg.deadline_ms and now_ms + arg.deadline_ms) or nil
  if not_before ~= nil and not_before <= now_ms then
    not_before = nil
  end
  if deadline_at ~= nil and deadline_at <= (not_before or now_ms) then
    return nil,
      nil,
      op.refuse("invalid_input", { argument = "deadline", why = "leaves no time to run" })
  end
  return not_before, deadline_at
end

local function lane_refusal(lane)
  local state = lanes.state(lane)
  if state == "draining" then
    return op.refuse("lane_closed", { lane = lane })
  elseif not state then
    return nil, true
  end
end

-- A large input comes by a plain command in the same transaction, beside this call: copying it
-- through Lua would cost more than all the rest.
local function large_input(arg)
  local bytes = arg.input and #arg.input or redis.call("STRLEN", keys.input(arg.id))
  if not arg.input and (bytes <= limits.inline_input_bytes or bytes > limits.input_bytes) then
    return nil, op.refuse("invalid_input", { argument = "input", why = "is missing or too large" })
  end
  return bytes > limits.inline_input_bytes
end

local copied = {
  "lane",
  "task",
  "priority",
  "attempt_timeout_ms",
  "retention_ms",
  "reclaims_max",
  "capabilities",
  "retry",
  "key",
}

-- The input that came beside a refused call must not stay; a known execution keeps its own.
local function forget_input(id)
  if redis.call("EXISTS", keys.execution(id)) == 0 then
    redis.call("DEL", keys.input(id))
  end
end

local function submit(arg, now_ms)
  local existing = known(arg)
  if existing then
    return existing
  end
  local large, missing = large_input(arg)
  if missing then
    return missing
  end
  local closed, unknown_lane = lane_refusal(arg.lane)
  if closed then
    return closed
  end
  local not_before, deadline_at, refusal = times(arg, now_ms)
  if refusal then
    return refusal
  end
  local x = record.new(arg.id)
  for _, name in ipairs(copied) do
    record.set(x, name, arg[name] or nil)
  end
  record.set(x, "created_at", now_ms)
  record.set(x, "not_before", not_before)
  record.set(x, "large", large and 1 or nil)
  record.set(x, "deadline_at", deadline_at)
  transition.apply(x, "submit", gates.facts(x, now_ms))
  if arg.input then
    redis.call("SET", keys.input(arg.id), arg.input)
  end
  pending.add_row(keys.executions(), arg.id, 0)
  if arg.tags then
    redis.call("SET", keys.tags(arg.id), arg.tags)
  end
  if arg.key then
    redis.call("SET", keys.idempotency(arg.key), arg.id .. " " .. arg.fingerprint)
  end
  if unknown_lane then
    lanes.set(arg.lane, "active")
  end
  transition.commit(x, now_ms)
  return op.outcome("submitted", { id = arg.id, state = x.f.state })
end

return op.define({
  name = "execution.submit",
  events = { "submit" },
  args = {
    "id:id",
    "lane:word",
    "task:word",
    "input:input?",
    "key:digest?",
    "fingerprint:digest?",
    "not_before:ms?",
    "delay_ms:span_ms?",
    "priority:priority?",
    "deadline_at:ms?",
    "deadline_ms:span_ms?",
    "attempt_timeout_ms:attempt_timeout_ms?",
    "retention_ms:retention_ms?",
    "reclaims_max:reclaims_max?",
    "capabilities:capabilities?",
    "retry:retry?",
    "tags:tags?",
  },
  returns = { submitted = { "id:text", "state:text" }, duplicate = { "id:text" } },
  run = function(arg, now_ms)
    local answer = submit(arg, now_ms)
    if not arg.input and answer.name ~= "submitted" then
      forget_input(arg.id)
    end
    return answer
  end,
})
