-- The frames of one attempt: durable ones in one list, live ones in another, under one numbering.
--
-- A frame is stored as "<number> <mode> <encoding> <time> <summary version or -> <type>
-- <bytes of the correlation id or ->", a line break, the correlation id, the payload.
local keys = require("lib.keys")
local limits = require("generated.limits")

local frames = {}

local letters = { durable = "d", live = "l", summary = "s", binary = "b", utf8 = "u", json = "j" }

local function pack_frame(frame)
  local correlation = frame.correlation
  return string.format(
    "%.0f %s %s %.0f %s %s %s\n",
    frame.number,
    letters[frame.mode],
    letters[frame.encoding],
    frame.at,
    frame.version and string.format("%.0f", frame.version) or "-",
    frame.type,
    correlation and #correlation or "-"
  ) .. (correlation or "") .. frame.payload
end

-- Trims in bulk: one command for many appends.
local function push(key, packed, kept, slack)
  if redis.call("RPUSH", key, packed) > kept + slack then
    redis.call("LTRIM", key, -kept, -1)
  end
end

-- Appends a frame to the list of its mode; neither list ever trims the other.
function frames.append(id, attempt, frame)
  local packed = pack_frame(frame)
  if frame.mode == "durable" then
    local key = keys.frames(id, attempt)
    push(key, packed, limits.durable_frames_max, limits.durable_frames_slack)
  else
    local key = keys.live(id, attempt)
    push(key, packed, limits.live_frames_max, limits.live_frames_slack)
  end
end

-- Leaves of the live frames what readers who are a moment behind still have to see.
function frames.end_live(id, attempt)
  redis.call("LTRIM", keys.live(id, attempt), -limits.live_frames_after_end, -1)
end

local function number_of(packed)
  return tonumber(packed:match("^%d+"))
end

-- The position, from 0, of the first frame with that number or a later one. Numbers grow by at
-- least one from each position to the next, which leaves nothing to search where none is missing.
local function seek(key, length, first, from)
  if from <= first then
    return 0
  end
  local last = number_of(redis.call("LINDEX", key, -1))
  if from > last then
    return length
  end
  local low = math.max(0, length - 1 - (last - from))
  local high = math.min(length - 1, from - first)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if number_of(redis.call("LINDEX", key, middle)) < from then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

-- Frames that are fetched at once.
local slice = 64

-- Moves on to the frame at the reader's position.
local function step(reader)
  if reader.position == reader.length then
    reader.number = nil
    return
  end
  if reader.position >= reader.fetched then
    local from = reader.position
    reader.slice = redis.call("LRANGE", reader.key, from, from + slice - 1)
    reader.from, reader.fetched = from, from + #reader.slice
  end
  reader.packed = reader.slice[reader.position - reader.from + 1]
  reader.number = number_of(reader.packed)
  reader.position = reader.position + 1
end

local function open_reader(key, from)
  local length = redis.call("LLEN", key)
  if length == 0 then
    return {}
  end
  local first = number_of(redis.call("LINDEX", key, 0))
  local position = seek(key, length, first, from)
  local reader = { key = key, length = length, first = first, position = position, fetched = 0 }
  step(reader)
  return reader
end

-- The reader whose next frame comes first, nil when there is none up to `to`.
local function nearer(a, b, to)
  local reader = a
  if a.number == nil or (b.number ~= nil and b.number < a.number) then
    reader = b
  end
  return reader.number ~= nil and reader.number <= to and reader or nil
end

-- The kept frames from one number to another, at most `count`, and fewer when they are large.
-- Returns them as they are stored, the last number that was looked at, whether there are more, and
-- the lowest number that is kept.
function frames.page(id, attempt, from, to, count)
  local durable = open_reader(keys.frames(id, attempt), from)
  local live = open_reader(keys.live(id, attempt), from)
  local found, bytes, seen = {}, 0, nil
  local reader = nearer(durable, live, to)
  while reader ~= nil and #found < count and bytes < limits.page_bytes do
    found[#found + 1] = reader.packed
    bytes = bytes + #reader.packed
    seen = reader.number
    step(reader)
    reader = nearer(durable, live, to)
  end
  local first = durable.first
  if first == nil or (live.first ~= nil and live.first < first) then
    first = live.first
  end
  return {
    frames = found,
    seen = reader ~= nil and seen or nil,
    more = reader ~= nil,
    first = first,
  }
end

return frames
