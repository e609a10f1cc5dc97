-- The waitpoints of an execution: what may be signalled, by whom, and what came of it.
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local limits = require("generated.limits")

local waitpoints = {}

-- A stored waitpoint is these words in this order; "," stands for an absent one.
local function names()
  return {
    "key",
    "kid",
    "attempt",
    "run",
    "scope",
    "state",
    "created_at",
    "expires_at",
    "suspension",
    "closed_at",
    "reason",
    "last_at",
    -- Positions of signals: how many came, those kept for the suspension, those that counted.
    "count",
    "buffered",
    "matched",
  }
end

local states = { pending = true, active = true, closed = true }
local counted = { "attempt", "run", "created_at", "count" }
local timed = { "expires_at", "closed_at", "last_at" }

local function check(point, key)
  for _, name in ipairs(counted) do
    corruption.number(key, point.id .. " " .. name, point[name])
  end
  for _, name in ipairs(timed) do
    if point[name] ~= nil then
      corruption.number(key, point.id .. " " .. name, point[name])
    end
  end
  if not states[point.state] then
    corruption.tell(key, point.id .. " state", "is unknown")
  end
end

local function read(key, id, text)
  local point, position, order = { id = id }, 0, names()
  for word in text:gmatch("%S+") do
    position = position + 1
    point[order[position] or "more"] = word ~= "," and word or nil
  end
  if position ~= #order then
    corruption.tell(key, id, "does not parse")
  end
  check(point, key)
  return point
end

-- Which run of the execution this is: replays begin a new one.
function waitpoints.run(x)
  return x.f.replays or "0"
end

function waitpoints.load(x, id)
  local key = keys.waitpoints(x.id)
  local text = redis.call("HGET", key, id)
  return text and read(key, id, text) or nil
end

function waitpoints.save(x, point)
  local words = {}
  for position, name in ipairs(names()) do
    local value = point[name]
    if type(value) == "number" then
      value = string.format("%.0f", value)
    end
    words[position] = value or ","
  end
  redis.call("HSET", keys.waitpoints(x.id), point.id, table.concat(words, " "))
end

-- Whether the execution may still issue so many more.
function waitpoints.room(x, count)
  return redis.call("HLEN", keys.waitpoints(x.id)) + count <= limits.waitpoints_per_execution
end

-- A waitpoint that has just been issued. One of an attempt dies with it, one of a run outlives
-- retries.
function waitpoints.new(x, id, key, kid, scope, now_ms)
  return {
    id = id,
    key = key,
    kid = kid,
    attempt = x.f.attempt,
    run = waitpoints.run(x),
    scope = scope,
    state = "pending",
    created_at = now_ms,
    count = 0,
  }
end

-- Whether a pending waitpoint still belongs to what the execution is doing.
function waitpoints.alive(x, point)
  if point.run ~= waitpoints.run(x) then
    return false
  elseif point.scope == "run" then
    return true
  end
  return point.attempt == x.f.attempt and (x.f.state == "leased.held" or x.f.parked ~= nil)
end

function waitpoints.expired(point, now_ms)
  return point.expires_at ~= nil and tonumber(point.expires_at) <= now_ms
end

-- Appends a position to one of the lists of positions.
function waitpoints.append(point, list, position)
  local text = string.format("%.0f", position)
  point[list] = point[list] and point[list] .. "." .. text or text
end

function waitpoints.close(x, point, reason, now_ms)
  point.state = "closed"
  point.closed_at = now_ms
  point.reason = reason
  waitpoints.save(x, point)
end

return waitpoints
