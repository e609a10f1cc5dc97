-- Accept new work, or answer with the execution that the same idempotency key already made.
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local submission = require("lib.submission")
local values = require("lib.values")

-- The key's record lives as long as its execution, in the partition of the key's own hash, so that
-- two submitters can never both create.
local function known(arg)
  if arg.key then
    if not arg.fingerprint then
      return op.refuse("invalid_input", { argument = "fingerprint", why = "is missing" })
    end
    local stored = values.read(keys.idempotency(arg.key))
    if stored then
      local id, fingerprint = stored:match("^(%S+) (%S+)$")
      if id == nil then
        corruption.tell(keys.idempotency(arg.key), "record", "does not parse")
      end
      if fingerprint ~= arg.fingerprint then
        return op.refuse("idempotency_mismatch", { existing = id })
      end
      return op.outcome("duplicate", { id = id })
    end
  end
  if record.exists(arg.id) then
    return op.outcome("duplicate", { id = arg.id })
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

-- The input that came beside a refused call must not stay; a known execution keeps its own.
local function forget_input(id)
  if not record.exists(id) then
    values.remove(keys.input(id))
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
  local checked, refusal = submission.check(arg, now_ms)
  if checked == nil then
    return refusal
  end
  local x = record.new(arg.id)
  record.set(x, "key", arg.key or nil)
  record.set(x, "large", large and 1 or nil)
  if arg.key then
    values.write(keys.idempotency(arg.key), arg.id .. " " .. arg.fingerprint)
  end
  submission.accept(x, arg, checked, now_ms)
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
    "tagged:tag_digests?",
    "limit:word?",
    "share:word?",
    "budgets:budget_ids?",
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
