-- The streams of an execution: what is known of each, and their end. Their frames: lib/frames.
local corruption = require("lib.corruption")
local frames = require("lib.frames")
local keys = require("lib.keys")
local lifecycle = require("generated.lifecycle")
local record = require("lib.record")
local wake = require("lib.wake")

local stream = {}

-- "<last number> <bytes> <created at> <last append at>", then "<closed at> <reason>" once closed.
local pattern = "^(%d+) (%d+) (%d+) (%d+) ?(%d*) ?(%S*)$"

-- What is known of the stream of an attempt, or nil when nothing was ever appended.
function stream.load(id, attempt)
  local text = redis.call("HGET", keys.streams(id), attempt)
  if not text then
    return nil
  end
  local last, bytes, created_at, last_at, closed_at, reason = text:match(pattern)
  if last == nil then
    corruption.tell(keys.streams(id), attempt, "does not parse")
  end
  return {
    last = tonumber(last),
    bytes = tonumber(bytes),
    created_at = tonumber(created_at),
    last_at = tonumber(last_at),
    closed_at = tonumber(closed_at),
    reason = reason ~= "" and reason or nil,
  }
end

function stream.save(id, attempt, known)
  local text =
    string.format("%.0f %.0f %.0f %.0f", known.last, known.bytes, known.created_at, known.last_at)
  if known.closed_at ~= nil then
    text = string.format("%s %.0f %s", text, known.closed_at, known.reason)
  end
  redis.call("HSET", keys.streams(id), attempt, text)
end

-- Ends the stream of the current attempt, if it has one, in the step that ends the attempt. The
-- caller commits the execution.
function stream.close(x, reason, now_ms)
  if x.f.tailed ~= nil then
    wake.tails(x.id, x.f.tailed, now_ms)
    record.set(x, "tailed", nil)
  end
  -- "1" while the attempt has an open stream, "0" when there are only closed ones.
  if x.f.streamed ~= "1" then
    return
  end
  record.set(x, "streamed", 0)
  local known = stream.load(x.id, x.f.attempt)
    or corruption.tell(keys.streams(x.id), x.f.attempt, "is missing")
  known.closed_at, known.reason = now_ms, reason
  stream.save(x.id, x.f.attempt, known)
  frames.end_live(x.id, x.f.attempt)
end

local unfinished = { leased = true, reclaimable = true, suspended = true, waiting = true }

-- Whether nothing will be appended to the stream of that attempt any more, as things stand.
function stream.is_over(x, attempt)
  local current = record.number(x, "attempt") or -1
  if x.f.ended_at ~= nil or attempt < current then
    return true
  end
  -- An interrupted attempt goes on; one that failed waits for the next.
  return attempt == current and x.f.parked == nil and unfinished[lifecycle[x.f.state].index] == nil
end

-- Removes all that the execution's streams ever stored.
function stream.remove(id)
  for _, attempt in ipairs(redis.call("HKEYS", keys.streams(id))) do
    redis.call(
      "UNLINK",
      keys.frames(id, attempt),
      keys.live(id, attempt),
      keys.summary(id, attempt)
    )
  end
  redis.call("UNLINK", keys.streams(id))
end

return stream
