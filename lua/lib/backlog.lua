-- Work that follows from an operation: done in the same call as far as it is little, else kept.
--
-- An item is a line of words; the first one names the handler, which must find out for itself
-- whether there is still something to do.
local corruption = require("lib.corruption")
local keys = require("lib.keys")

local backlog = {}

local handlers = {}
-- What this call has brought up and not done yet, and of that what comes after all else.
local items, first, last
local late, late_first, late_last
-- Whether there are older items; asked once per call.
local is_kept, is_told

function backlog.begin()
  items, first, last, is_kept, is_told = {}, 1, 0, nil, false
  late, late_first, late_last = {}, 1, 0
end

-- `perform(words, now_ms)` does a bounded part, pushes the rest, and returns how much it did.
function backlog.handle(name, perform)
  handlers[name] = perform
end

-- Sparing comes once nothing else is left: what others decide may make it needless.
function backlog.push(item)
  if item:sub(1, 6) == "spare " then
    late_last = late_last + 1
    late[late_last] = item
    return
  end
  last = last + 1
  items[last] = item
end

-- Does the same for one id after the other as far as `units` go, then `rest`, which is told how
-- many it was; returns the units that were used. What is done for an id is one unit, or as many as
-- `act` says. One that fails keeps no other from it; the first failure is raised at the end, so
-- that the item stays with those that are stuck.
function backlog.each(ids, units, act, rest)
  local used, count, is_whole, failure = 0, 0, true, nil
  while count < #ids and used < units do
    count = count + 1
    local ok, answer = pcall(act, ids[count])
    used = used + (ok and answer or 1)
    if not ok and is_whole then
      is_whole, failure = false, answer
    end
  end
  rest(count)
  if not is_whole then
    error(failure, 0)
  end
  return used
end

local function reason_of(failure)
  if type(failure) == "table" and failure.corrupt then
    return corruption.line(failure.corrupt)
  end
  return tostring(failure)
end

local function perform(item, now_ms)
  local words = {}
  for word in item:gmatch("%S+") do
    words[#words + 1] = word
  end
  local ok, done = pcall(handlers[words[1]] or error, words, now_ms)
  if ok then
    return done
  end
  -- Kept for whoever mends it: one bad item must not hold up all others.
  redis.call("RPUSH", keys.stuck(), item .. "\n" .. reason_of(done))
  is_told = true
  return 1
end

local function take()
  local item = items[first]
  if item ~= nil then
    items[first] = nil
    first = first + 1
    return item
  end
  item = late[late_first]
  if item ~= nil then
    late[late_first] = nil
    late_first = late_first + 1
  end
  return item
end

-- Does what this operation has brought up, as far as `units` go; the rest is kept. Returns how many
-- units are left.
function backlog.run(now_ms, units)
  for item in take do
    if units > 0 then
      units = units - perform(item, now_ms)
    else
      redis.call("RPUSH", keys.backlog(), item)
      is_kept, is_told = true, true
    end
  end
  return units
end

-- Whether anything waits to be done.
function backlog.is_kept()
  if is_kept == nil then
    is_kept = redis.call("EXISTS", keys.backlog()) == 1
  end
  return is_kept
end

-- Whether this call has left work for later, so that somebody should be told.
function backlog.is_told()
  return is_told
end

-- Does kept items, oldest first. Returns how many it took up.
function backlog.drain(now_ms, units)
  local done = 0
  while units > 0 and backlog.is_kept() do
    done = done + 1
    units = units - perform(redis.call("LPOP", keys.backlog()), now_ms)
    -- What follows from it queues up behind the others.
    backlog.run(now_ms, 0)
    is_kept = nil
  end
  return done
end

-- Puts stuck items back among those that are kept.
function backlog.retry(count)
  for _, entry in ipairs(redis.call("LPOP", keys.stuck(), count) or {}) do
    redis.call("RPUSH", keys.backlog(), entry:match("^[^\n]+"))
    is_kept = true
  end
end

-- How many items are kept, how many are stuck, and why the latest of these is.
function backlog.size()
  local latest = redis.call("LINDEX", keys.stuck(), -1)
  local why = latest and latest:match("\n(.*)") or nil
  return redis.call("LLEN", keys.backlog()), redis.call("LLEN", keys.stuck()), why
end

return backlog
