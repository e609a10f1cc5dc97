-- Wakes sleeping claims: remembers which lanes have sleepers and tells them when to look again.
local backlog = require("lib.backlog")
local keys = require("lib.keys")

local wake = {}

-- lane → until when somebody sleeps on it (false: nobody); read once per call.
local sleepers
-- lane → the earliest time at which there is something to claim.
local calls
local endings
-- Whether there are events that somebody waits for.
local news
-- Whether other partitions have to be told something about slots.
local owed
-- Executions with frames for those who tail their streams, in the order in which they came.
local tailed
-- Leases that were taken from their holders, in the order in which that happened.
local losses

function wake.begin()
  sleepers, calls, endings, news, owed = {}, {}, {}, false, false
  tailed, losses = {}, {}
end

local function slept_until(lane)
  local until_ms = sleepers[lane]
  if until_ms == nil then
    until_ms = tonumber(redis.call("HGET", keys.sleepers(), lane) or nil) or false
    sleepers[lane] = until_ms
  end
  return until_ms
end

-- Says that the lane has something to claim from `at_ms` on.
function wake.lane(lane, at_ms)
  local until_ms = slept_until(lane)
  if until_ms and at_ms < until_ms and (not calls[lane] or at_ms < calls[lane]) then
    calls[lane] = at_ms
  end
end

-- Remembers a claim that found nothing and waits: whoever brings work will call it.
function wake.sleep(lane, until_ms)
  local known = slept_until(lane)
  if not known or until_ms > known then
    sleepers[lane] = until_ms
    redis.call("HSET", keys.sleepers(), lane, string.format("%.0f", until_ms))
  end
end

-- Says that a watched execution ended.
function wake.ended(id)
  endings[#endings + 1] = id
end

-- Says that a lease was taken from its holder, who may be at work in any process.
function wake.lost(id, epoch, event)
  losses[#losses + 1] = "lost " .. id .. " " .. epoch .. " " .. event
end

-- Says that there are new events in the feed, and that somebody follows it.
function wake.events()
  news = true
end

-- Says that other partitions have to be told something about slots.
function wake.owed()
  owed = true
end

-- Says that those who wait for the execution's streams, until a time at most, should look again.
function wake.tails(id, until_ms, now_ms)
  if tonumber(until_ms) > now_ms then
    tailed[#tailed + 1] = id
  end
end

-- Forgets sleepers whose time is over.
function wake.forget(now_ms)
  local flat = redis.call("HGETALL", keys.sleepers())
  for position = 1, #flat, 2 do
    if tonumber(flat[position + 1]) <= now_ms then
      redis.call("HDEL", keys.sleepers(), flat[position])
      sleepers[flat[position]] = false
    end
  end
end

-- Sends what this call collected. Lanes are told in a fixed order, so that a run can be repeated.
function wake.finish(now_ms)
  local lanes = {}
  for lane in pairs(calls) do
    lanes[#lanes + 1] = lane
  end
  table.sort(lanes)
  for _, lane in ipairs(lanes) do
    local at_ms = calls[lane]
    if at_ms <= now_ms then
      -- Everybody who slept will ask again and register again.
      redis.call("HDEL", keys.sleepers(), lane)
    end
    -- Told as a delay: the clocks of server and sleeper need not agree.
    local in_ms = math.max(0, at_ms - now_ms)
    redis.call("PUBLISH", keys.channel(), string.format("lane %.0f %s", in_ms, lane))
  end
  for _, id in ipairs(endings) do
    redis.call("PUBLISH", keys.channel(), "ended " .. id)
  end
  for _, loss in ipairs(losses) do
    redis.call("PUBLISH", keys.channel(), loss)
  end
  if backlog.is_told() then
    redis.call("PUBLISH", keys.channel(), "backlog")
  end
  if news then
    redis.call("PUBLISH", keys.channel(), "events")
  end
  if owed then
    redis.call("PUBLISH", keys.channel(), "owed")
  end
  for _, id in ipairs(tailed) do
    redis.call("PUBLISH", keys.channel(), "frames " .. id)
  end
end

return wake
