-- Limits as they are defined, their buckets, and whether a bucket has room.
local keys = require("lib.keys")

local limit = {}

-- name → its definition, or false; read once per server call.
local known

function limit.begin()
  known = nil
end

function limit.forget(name)
  if known ~= nil then
    known[name] = nil
  end
end

-- A stored definition: "<slots> <starts> <window ms> <per key 0|1> <partitions>"; 0 is no bound.
function limit.parse(text)
  local slots, starts, window_ms, per_key, partitions =
    text:match("^(%d+) (%d+) (%d+) ([01]) (%d+)$")
  return {
    slots = tonumber(slots),
    starts = tonumber(starts),
    window_ms = tonumber(window_ms),
    per_key = per_key == "1",
    partitions = tonumber(partitions),
  }
end

-- What holds for the limit, or false when nobody set it: then it limits nothing.
function limit.definition(name)
  known = known or {}
  local found = known[name]
  if found == nil then
    local text = redis.call("HGET", keys.limits(), name)
    found = text and limit.parse(text)
    known[name] = found
  end
  return found
end

-- Where the execution's work is counted: with all others, or with those of its key.
function limit.bucket(x, definition)
  local share = x.f.share
  return definition.per_key and share and x.f.limit .. "|" .. share or x.f.limit
end

-- The partition that counts the bucket; nil when it is this one.
function limit.home(bucket, definition)
  if definition.partitions == 1 then
    return nil
  end
  local home = tonumber(redis.sha1hex(bucket):sub(1, 8), 16) % definition.partitions
  return home ~= keys.partition() and home or nil
end

function limit.name_of(bucket)
  return bucket:match("^[^|]+")
end

-- Buckets stand among the timers behind a bar, which begins no execution id.
function limit.row_of(bucket)
  return "|" .. bucket
end

function limit.bucket_of_row(member)
  return member:byte() == 124 and member:sub(2) or nil
end

local function pause_of(name)
  return tonumber(redis.call("HGET", keys.pauses(), name) or nil) or 0
end

-- Until when nothing of the bucket may begin, or nil.
function limit.paused_until(bucket, now_ms)
  local until_ms, name = pause_of(bucket), limit.name_of(bucket)
  if name ~= bucket then
    until_ms = math.max(until_ms, pause_of(name))
  end
  return until_ms > now_ms and until_ms or nil
end

-- How many began within the window that ends now.
function limit.started(bucket, window_ms, now_ms)
  local from = string.format("(%.0f", now_ms - window_ms)
  return redis.call("ZCOUNT", keys.starts(bucket), from, "+inf")
end

-- When the bucket has room: nil for now, a time, or false when a slot must be given back first.
function limit.room_at(bucket, definition, now_ms)
  if not definition then
    return nil
  end
  local paused = limit.paused_until(bucket, now_ms)
  if paused then
    return paused
  end
  local held = definition.slots > 0 and redis.call("ZCARD", keys.slots(bucket)) or 0
  if definition.slots > 0 and held >= definition.slots then
    return false
  end
  local starts = definition.starts
  if starts == 0 or limit.started(bucket, definition.window_ms, now_ms) < starts then
    return nil
  end
  -- The window has room again when this one leaves it.
  local row = redis.call("ZREVRANGE", keys.starts(bucket), starts - 1, starts - 1, "WITHSCORES")
  return tonumber(row[2]) + definition.window_ms
end

return limit
