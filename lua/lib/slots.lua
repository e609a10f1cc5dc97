-- The slots of limits: who holds one and who waits for one, in step with the lifecycle.
local keys = require("lib.keys")
local limit = require("lib.limit")
local owed = require("lib.owed")
local record = require("lib.record")
local turns = require("lib.turns")

local slots = {}

-- Buckets that may have room since this operation began, in the order of the news; nil for none.
slots.news = nil

function slots.begin()
  slots.news = nil
end

-- Says that a bucket may have room now.
function slots.reconsider(bucket)
  local news = slots.news or {}
  slots.news = news
  if not news[bucket] then
    news[#news + 1], news[bucket] = bucket, true
  end
end

-- Names one request for a slot: what is late about an earlier one cannot hit a later one. A holder
-- of another partition has its number in front.
function slots.holder(x)
  return string.format("%s:%.0f", x.id, x.f.ticket)
end

function slots.foreign_holder(partition, request)
  return string.format("%.0f:%s", partition, request)
end

-- The partition and the request of a holder of another partition, or nil.
function slots.origin(holder)
  local partition, request = holder:match("^(%d+):([^:]+:%d+)$")
  return tonumber(partition), request
end

-- Takes a slot for a holder, and counts its start.
function slots.enter(bucket, holder, definition, now_ms)
  redis.call("ZADD", keys.slots(bucket), 0, holder)
  if definition and definition.starts > 0 then
    local starts = keys.starts(bucket)
    redis.call("ZREMRANGEBYSCORE", starts, "-inf", now_ms - definition.window_ms)
    redis.call("ZADD", starts, now_ms, holder)
  end
end

-- Tells a holder of another partition that it has a slot, now or when it is time to check.
function slots.check(bucket, holder, at_ms)
  local partition, request = slots.origin(holder)
  if partition ~= nil then
    owed.add("check", partition, bucket, nil, request, at_ms)
  end
end

-- Frees a holder's slot; what never began did not start.
function slots.free(bucket, holder, never_began)
  redis.call("ZREM", keys.slots(bucket), holder)
  if never_began then
    redis.call("ZREM", keys.starts(bucket), holder)
  end
  slots.reconsider(bucket)
end

-- Gives back the slot of an execution that does not need it any more.
function slots.give_back(x)
  local f = x.f
  local holder = slots.holder(x)
  if f.home == nil then
    slots.free(f.slot, holder, f.permit_until ~= nil)
  else
    local kind = f.permit_until ~= nil and "withdraw" or "release"
    owed.add(kind, f.home, f.slot, f.share, holder)
  end
  record.set(x, "slot", nil)
  record.set(x, "permit_until", nil)
  record.set(x, "home", nil)
end

local function queue_of(bucket)
  return "waiters:" .. bucket
end

-- Lets a holder wait, or rescores it. In a bucket that several keys share they take turns.
function slots.wait(bucket, share, holder, score)
  local queue = queue_of(bucket)
  local is_new
  if share and limit.name_of(bucket) == bucket then
    is_new = turns.add(queue, share, holder, score)
  else
    is_new = redis.call("ZADD", keys.queue(queue), score, holder) == 1
  end
  if is_new then
    redis.call("HINCRBY", keys.waiting(limit.name_of(bucket)), bucket, 1)
  end
end

-- Returns whether the holder waited.
function slots.stop_waiting(bucket, share, holder)
  local queue = queue_of(bucket)
  local was_there
  if share and limit.name_of(bucket) == bucket then
    was_there = turns.remove(queue, share, holder)
  else
    was_there = redis.call("ZREM", keys.queue(queue), holder) == 1
  end
  local waiting = keys.waiting(limit.name_of(bucket))
  if was_there and redis.call("HINCRBY", waiting, bucket, -1) == 0 then
    redis.call("HDEL", waiting, bucket)
  end
  return was_there
end

function slots.is_waited_for(bucket)
  return redis.call("HEXISTS", keys.waiting(limit.name_of(bucket)), bucket) == 1
end

-- Whose turn it is: the holder and its key, or nil.
function slots.first(bucket)
  local queue = queue_of(bucket)
  local row = turns.candidates(queue, 1)[1]
  if row ~= nil then
    turns.took(queue, row.share)
    return row.id, row.share ~= "" and row.share or nil
  end
  return redis.call("ZRANGE", keys.queue(queue), 0, 0)[1]
end

-- A holder that waits where it would not wait any more, since the limit was changed: the holder
-- and its key, or nil.
function slots.misfit(bucket, definition)
  local is_whole = limit.name_of(bucket) == bucket
  if not definition or (not definition.per_key and not is_whole) then
    return slots.first(bucket)
  elseif not definition.per_key or not is_whole then
    return nil
  end
  local queue = queue_of(bucket)
  for _, share in ipairs(redis.call("ZRANGE", keys.turns(queue), 0, 1)) do
    if share ~= "" then
      return redis.call("ZRANGE", keys.queue(queue, share), 0, 0)[1], share
    end
  end
end

-- Whether work keeps its slot where it goes: under its lease, and while a slot is kept for it.
local function keeps(f, index)
  if index == "ready" or index == "resumed" then
    return f.permit_until ~= nil
  end
  return index == "leased" or index == "reclaimable"
end

-- Called for every commit of work under a limit, before its fields are written: `index` is where
-- it goes, `score` its place among what is claimable.
function slots.follow(x, index, score)
  local f = x.f
  if f.slot ~= nil and not keeps(f, index) then
    slots.give_back(x)
  end
  if f.waits_for == nil then
    return
  end
  local holder = slots.holder(x)
  if index ~= "blocked" then
    if f.home == nil then
      slots.stop_waiting(f.waits_for, f.share, holder)
    else
      owed.remove("ask", f.home, f.waits_for, f.share, holder)
      owed.add("withdraw", f.home, f.waits_for, f.share, holder)
    end
    record.set(x, "waits_for", nil)
    record.set(x, "home", nil)
  elseif f.home == nil then
    slots.wait(f.waits_for, f.share, holder, score)
  else
    owed.add("ask", f.home, f.waits_for, f.share, holder)
  end
end

return slots
