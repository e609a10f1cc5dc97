-- Whether work under a limit may begin: it takes a slot, or waits until it is admitted.
local keys = require("lib.keys")
local limit = require("lib.limit")
local limits = require("generated.limits")
local pending = require("lib.pending")
local record = require("lib.record")
local slots = require("lib.slots")
local wake = require("lib.wake")
local withhold = require("lib.withhold")

local admission = {}

-- Uses the slot that was kept for the execution; false when it is not good any more.
local function use_permit(x, bucket, now_ms)
  if x.f.slot ~= bucket or limit.paused_until(bucket, now_ms) then
    return false
  end
  redis.call("ZADD", keys.starts(bucket), "XX", now_ms, slots.holder(x))
  record.set(x, "permit_until", nil)
  return true
end

local function take_ticket(x)
  record.set(x, "ticket", (record.number(x, "ticket") or 0) + 1)
end

-- Whether an execution under a limit can be claimed now, as far as its limit goes.
function admission.allows(x, now_ms)
  local definition = limit.definition(x.f.limit)
  if not definition or x.f.state:sub(1, 7) == "leased." then
    return true
  end
  local bucket = limit.bucket(x, definition)
  if x.f.slot == bucket then
    return not limit.paused_until(bucket, now_ms)
  elseif limit.home(bucket, definition) ~= nil then
    return false
  end
  return not slots.is_waited_for(bucket) and limit.room_at(bucket, definition, now_ms) == nil
end

-- Takes a slot for claimable work under a limit. Returns whether it may be claimed; if not, it is
-- withheld.
function admission.acquire(x, now_ms)
  -- Whoever lost a lease kept its slot.
  if x.f.state:sub(1, 7) == "leased." then
    return true
  end
  local definition = limit.definition(x.f.limit)
  local bucket = definition and limit.bucket(x, definition)
  if x.f.slot ~= nil then
    if use_permit(x, bucket, now_ms) then
      return true
    end
    slots.give_back(x)
  end
  if not definition then
    return true
  end
  take_ticket(x)
  local home = limit.home(bucket, definition)
  if home ~= nil then
    record.set(x, "waits_for", bucket)
    record.set(x, "home", home)
    withhold.apply(x, "limit", now_ms)
    return false
  end
  local is_waited_for = slots.is_waited_for(bucket)
  local room_at = limit.room_at(bucket, definition, now_ms)
  if room_at == nil and not is_waited_for then
    slots.enter(bucket, slots.holder(x), definition, now_ms)
    record.set(x, "slot", bucket)
    return true
  end
  record.set(x, "waits_for", bucket)
  withhold.apply(x, "limit", now_ms)
  slots.reconsider(bucket)
  if room_at then
    wake.lane(x.f.lane, room_at)
  end
  return false
end

-- Lets the first of those who wait go, with a slot that is kept for it for a while.
local function admit_first(bucket, definition, holder, share, now_ms)
  if slots.origin(holder) then
    slots.stop_waiting(bucket, share, holder)
    slots.enter(bucket, holder, definition, now_ms)
    slots.check(bucket, holder)
    return
  end
  local x = record.load(holder:match("^[^:]+"))
  slots.stop_waiting(bucket, share, holder)
  record.set(x, "waits_for", nil)
  record.set(x, "slot", bucket)
  record.set(x, "permit_until", now_ms + limits.permit_ms)
  slots.enter(bucket, holder, definition, now_ms)
  withhold.admit(x, now_ms)
end

-- Lets work go that does not have to wait here any more; its claim asks again.
local function let_go(bucket, holder, share, now_ms)
  slots.stop_waiting(bucket, share, holder)
  if slots.origin(holder) then
    -- It is admitted there, and finds out as well.
    slots.check(bucket, holder)
    return
  end
  local x = record.load(holder:match("^[^:]+"))
  record.set(x, "waits_for", nil)
  withhold.admit(x, now_ms)
end

-- When to look at the bucket again, or nil.
local function schedule(bucket, at_ms)
  if at_ms then
    pending.add_row(keys.timers(), limit.row_of(bucket), at_ms)
  else
    pending.remove_row(keys.timers(), limit.row_of(bucket))
  end
end

-- All buckets of a limit in which somebody waits may have room, now or a little later.
function admission.reconsider_all(name, now_ms)
  local buckets = redis.call("HKEYS", keys.waiting(name))
  table.sort(buckets)
  for position, bucket in ipairs(buckets) do
    if position <= limits.admissions_per_call then
      slots.reconsider(bucket)
    else
      schedule(bucket, now_ms)
    end
  end
end

-- Ends a pause whose time has come.
local function end_pause(bucket, now_ms)
  local until_ms = tonumber(redis.call("HGET", keys.pauses(), bucket) or nil)
  if until_ms ~= nil and until_ms <= now_ms then
    redis.call("HDEL", keys.pauses(), bucket)
    admission.reconsider_all(bucket, now_ms)
  end
end

-- When to look again at a bucket in which nobody waits: at the end of a pause, or to forget its
-- starts when all have left the window. Nil when there is nothing to look for.
local function idle_until(bucket, definition, now_ms)
  local starts = keys.starts(bucket)
  if not definition or definition.starts == 0 then
    redis.call("DEL", starts)
    return definition and limit.paused_until(bucket, now_ms)
  end
  local paused = limit.paused_until(bucket, now_ms)
  if paused then
    return paused
  end
  redis.call("ZREMRANGEBYSCORE", starts, "-inf", now_ms - definition.window_ms)
  local last = tonumber(redis.call("ZRANGE", starts, -1, -1, "WITHSCORES")[2])
  return last and last + definition.window_ms
end

-- Admits as many as the bucket has room for, some at once and the rest by the next calls.
function admission.open(bucket, now_ms)
  end_pause(bucket, now_ms)
  local definition = limit.definition(limit.name_of(bucket))
  for _ = 1, limits.admissions_per_call do
    if not slots.is_waited_for(bucket) then
      schedule(bucket, idle_until(bucket, definition, now_ms))
      return
    end
    local holder, share = slots.misfit(bucket, definition)
    if holder then
      let_go(bucket, holder, share, now_ms)
    else
      local room_at = limit.room_at(bucket, definition, now_ms)
      if room_at ~= nil then
        schedule(bucket, room_at)
        return
      end
      holder, share = slots.first(bucket)
      admit_first(bucket, definition, holder, share, now_ms)
    end
  end
  schedule(bucket, now_ms)
end

-- Looks at the buckets that may have room since the last time.
function admission.run(now_ms)
  for _ = 1, limits.admissions_per_call do
    local news = slots.news
    if news == nil then
      return
    end
    slots.news = nil
    for _, bucket in ipairs(news) do
      admission.open(bucket, now_ms)
    end
  end
end

return admission
