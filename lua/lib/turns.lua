-- Queues in which keys take turns: each key has its own rows, and a ring says whose turn it is.
--
-- Rows without a key stand in an index of their own, which is not written here: while there is a
-- ring, they are one more key in it, the empty one.
local keys = require("lib.keys")
local limits = require("generated.limits")

local turns = {}

local function tail(ring)
  return tonumber(redis.call("ZRANGE", ring, -1, -1, "WITHSCORES")[2]) or -1
end

-- Adds or rescores a row of a key. Returns whether the row is new, and whether the ring is.
function turns.add(name, key, member, score)
  local is_new = redis.call("ZADD", keys.queue(name, key), score, member) == 1
  local ring = keys.turns(name)
  if not is_new or redis.call("ZSCORE", ring, key) then
    return is_new, false
  end
  local last = tail(ring)
  if last < 0 then
    redis.call("ZADD", ring, 0, "", 1, key)
    return true, true
  end
  redis.call("ZADD", ring, last + 1, key)
  return true, false
end

-- Removes a row of a key; a key without rows is forgotten, and a ring without keys too. Returns
-- whether the row was there, and whether the ring is gone.
function turns.remove(name, key, member)
  local queue = keys.queue(name, key)
  local was_there = redis.call("ZREM", queue, member) == 1
  if redis.call("EXISTS", queue) == 1 then
    return was_there, false
  end
  local ring = keys.turns(name)
  if redis.call("ZREM", ring, key) == 1 and redis.call("ZCARD", ring) == 1 then
    redis.call("DEL", ring)
    return was_there, true
  end
  return was_there, false
end

-- The next row of one key, fetched a few at a time; nil when none is left.
local function next_row(entry, page)
  if entry.at > #entry.rows and not entry.finished then
    local first = entry.offset
    entry.rows = redis.call("ZRANGE", entry.queue, first, first + page - 1, "WITHSCORES")
    entry.offset, entry.at = first + page, 1
    entry.finished = #entry.rows < 2 * page
  end
  local member, score = entry.rows[entry.at], tonumber(entry.rows[entry.at + 1])
  entry.at = entry.at + 2
  -- Rows under a live grant come last.
  if member == nil or score >= limits.granted_score then
    return nil
  end
  return { id = member, score = score, turns = entry.name, share = entry.share }
end

-- Up to `count` rows of a queue in the order of turns.
function turns.candidates(name, count)
  local ring = redis.call("ZRANGE", keys.turns(name), 0, count + limits.idle_turns_max - 1)
  local page = math.max(1, math.ceil(count / math.max(1, #ring)))
  local live, found = {}, {}
  for position, share in ipairs(ring) do
    local queue = keys.queue(name, share ~= "" and share or nil)
    live[position] = { name = name, share = share, queue = queue, rows = {}, at = 1, offset = 0 }
  end
  while #live > 0 and #found < count do
    local still = {}
    for _, entry in ipairs(live) do
      local row = #found < count and next_row(entry, page)
      if row then
        found[#found + 1] = row
        still[#still + 1] = entry
      end
    end
    live = still
  end
  return found
end

-- The share has had its turn: all others come before its next one.
function turns.took(name, share)
  local ring = keys.turns(name)
  redis.call("ZADD", ring, "XX", tail(ring) + 1, share)
end

return turns
