-- The feed: what happened in this partition, in order, for whoever follows it.
--
-- A place in the feed is a count of bytes since its beginning. Its end is one string that grows; a
-- long end is sealed as a segment, and old segments are dropped. All events of a server call are
-- one line: a line break, the time, then seven words for each event, of which some may be empty.
-- Every line has an even length, so that an odd one says that somebody follows: no other mark has
-- to be looked for when a line is written.
local corruption = require("lib.corruption")
local digits = require("lib.digits")
local keys = require("lib.keys")
local limits = require("generated.limits")
local sources = require("generated.sources")
local wake = require("lib.wake")

local feed = {}

-- What the line that is being gathered tells: the time first, then the words of each event. The
-- table stays from call to call, because one that grows is laid out anew at every doubling.
local told = {}
local count, time_ms

function feed.begin(now_ms)
  count, time_ms = 1, now_ms
end

-- Tells an event that is no move of the lifecycle. `detail` is a word or nil; `by` says who.
function feed.add(x, event, detail, by)
  local f = x.f
  local leaf = event == "purge" and "absent" or f.state
  local attempt = digits.of(f.attempt) or ""
  local fence = digits.of(f.epoch) or ""
  count = count + 1
  told[count] = table.concat({ x.id, event, leaf, attempt, fence, "|" .. by, detail or "" }, " ")
end

-- Tells what became of a flow.
function feed.flow(id, event, state, detail)
  count = count + 1
  told[count] = table.concat({ id, event, "flow." .. state, "", "", "|flow", detail or "" }, " ")
end

-- The field whose word says more about an event; for all others it is why the execution ended.
local detail_of = {
  block = "block_reason",
  claim = "attempt_type",
  fail = "class",
  reprioritize = "priority",
  withhold = "withheld",
}

-- Tells a move by its words.
function feed.move(id, event, state, attempt, fence, by, detail)
  local n = count
  -- As they are: one text of them would be made, and hashed, just to be copied into the line.
  told[n + 1], told[n + 2], told[n + 3], told[n + 4] = id, event, state, attempt
  told[n + 5], told[n + 6], told[n + 7] = fence, by, detail
  count = n + 7
end

-- Tells the move that was just committed. `x.by` is set where it was not who usually makes it.
function feed.moved(x, event)
  local by = sources[event]
  if by == nil then
    return
  end
  local f = x.f
  local attempt_text, fence_text = digits.of(f.attempt) or "", digits.of(f.epoch) or ""
  if x.by ~= nil then
    by, x.by = "|" .. x.by, nil
  elseif by == "worker" then
    by = f.worker
  end
  local detail = f[detail_of[event] or "reason"] or ""
  feed.move(x.id, event, f.state, attempt_text, fence_text, by, detail)
end

-- Where the end of the feed begins.
local function end_base()
  return tonumber(redis.call("ZSCORE", keys.segments(), "end") or nil) or 0
end

-- The oldest segment: where it begins, the time of its last event, its member; nil for none.
local function oldest()
  local member = redis.call("ZRANGE", keys.segments(), 0, 0)[1]
  local base, last_ms = (member or ""):match("^(%d+) (%d+)$")
  return tonumber(base), tonumber(last_ms), member
end

local function drop(base, member)
  redis.call("DEL", keys.segment(base))
  redis.call("ZREM", keys.segments(), member)
end

local function kept(name, default)
  local text = redis.call("HGET", keys.config(), name)
  return text and corruption.number(keys.config(), name, text) or default
end

-- Makes a segment of the end, and drops the oldest ones for which there is no room any more. Only
-- a caller who has just written knows the time of the last event; finding it takes long.
local function seal(last_ms)
  local base, text = end_base(), redis.call("GET", keys.feed())
  local marked = #text % 2 == 1
  if marked then
    text = text:sub(1, -2)
  end
  last_ms = last_ms or tonumber(text:match(".*\n(%d+)"))
  redis.call("SET", keys.segment(base), text)
  redis.call("DEL", keys.feed())
  if marked then
    redis.call("SET", keys.feed(), "\n")
  end
  local next_base = base + #text
  local member = string.format("%.0f %.0f", base, last_ms)
  redis.call("ZADD", keys.segments(), base, member, next_base, "end")
  local room = kept("feed_bytes", limits.feed_bytes_default)
  for _ = 1, limits.feed_drops_max do
    local first, _, oldest_member = oldest()
    if first == nil or next_base - first <= room then
      return
    end
    drop(first, oldest_member)
  end
end

-- Writes what this call gathered, as one line.
function feed.flush()
  if count == 1 then
    return
  end
  -- Lua's own conversion is the quickest, and exact for numbers of up to fourteen digits.
  told[1] = "\n" .. time_ms
  local line = table.concat(told, " ", 1, count)
  count = 1
  if #line % 2 == 1 then
    line = line .. "\n"
  end
  local length = redis.call("APPEND", keys.feed(), line)
  if length % 2 == 1 then
    length = redis.call("APPEND", keys.feed(), "\n")
    wake.events()
  end
  if length >= limits.feed_segment_bytes then
    seal(time_ms)
  end
end

-- Drops events whose time is over.
function feed.trim(now_ms)
  feed.flush()
  local first_ms = tonumber(redis.call("GETRANGE", keys.feed(), 0, 20):match("%d+"))
  if first_ms ~= nil and first_ms <= now_ms - limits.feed_tail_ms then
    seal()
  end
  local until_ms = now_ms - kept("feed_ms", limits.feed_ms_default)
  for _ = 1, limits.feed_drops_max do
    local base, last_ms, member = oldest()
    if base == nil or last_ms > until_ms then
      return
    end
    drop(base, member)
  end
end

-- What stands from a place on, to the end of its segment.
local function text_from(place, base, last)
  if place >= last then
    return ""
  elseif place >= base then
    return redis.call("GETRANGE", keys.feed(), place - base, last - base - 1)
  end
  local found =
    redis.call("ZREVRANGEBYSCORE", keys.segments(), place, "-inf", "WITHSCORES", "LIMIT", 0, 1)
  local segment_base = tonumber(found[2])
  return redis.call("GETRANGE", keys.segment(segment_base), place - segment_base, -1)
end

-- Reads lines from a place on, or from the oldest when the feed does not know the place any more.
-- Without a place it only tells where the feed ends now.
function feed.read(place)
  feed.flush()
  local base, length = end_base(), redis.call("STRLEN", keys.feed())
  local last = base + length - length % 2
  if not place then
    return { from = last, text = "", missed = false, more = false }
  end
  local first = oldest() or base
  local missed = place < first or place > last
  local from = missed and first or place
  local text = text_from(from, base, last)
  if text ~= "" and text:byte() ~= 10 then
    -- Not the beginning of a line: the server lost what it had told, and went on from there.
    missed, from = true, first
    text = text_from(from, base, last)
  end
  return { from = from, text = text, missed = missed, more = from + #text < last }
end

-- From now on the next event is announced, once.
function feed.follow()
  if redis.call("STRLEN", keys.feed()) % 2 == 0 then
    redis.call("APPEND", keys.feed(), "\n")
  end
end

return feed
