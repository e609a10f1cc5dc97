-- What this partition was told of budgets that are used up, and what that means for work.
--
-- The hash `exhausted` holds for each budget the newest version that it was told, and what the
-- budget does at its limit, or "-" while it has room. Versions stay: older news may come late.
local finish = require("lib.finish")
local keys = require("lib.keys")
local pending = require("lib.pending")
local record = require("lib.record")
local transition = require("lib.transition")
local waiters = require("lib.waiters")
local withhold = require("lib.withhold")

local exhaustion = {}

local function told(budget)
  local text = redis.call("HGET", keys.exhausted(), budget)
  if not text then
    return 0, "-"
  end
  local version, action = text:match("^(%d+) (%S+)$")
  return tonumber(version), action
end

-- The budget that lets the work not begin, and what it does with it; nil when all have room.
function exhaustion.of(x)
  local keeper
  for budget in x.f.budgets:gmatch("[^,]+") do
    local _, action = told(budget)
    if action == "fail" then
      return budget, "fail"
    elseif action == "withhold" then
      keeper = keeper or budget
    end
  end
  return keeper, keeper and "withhold" or nil
end

-- The budget that lets the execution have no more children, or nil.
function exhaustion.denies_children(x)
  for budget in (x.f.budgets or ""):gmatch("[^,]+") do
    local _, action = told(budget)
    if action == "deny_children" then
      return budget
    end
  end
end

-- Keeps work back, or fails it, instead of letting it begin; returns false when it may. Work whose
-- lease was lost is under way already.
function exhaustion.stops(x, now_ms)
  if not transition.accepts(x, "withhold") then
    return false
  end
  local _, action = exhaustion.of(x)
  if action == "fail" then
    transition.apply(x, "exhaust", {})
    finish.commit(x, "budget_exceeded", nil, now_ms)
  elseif action == "withhold" then
    waiters.enter(x)
    withhold.apply(x, "budget", now_ms)
  end
  return action ~= nil
end

-- Lets work go that waits for the budget, at most `count`; a sweep goes on where this ends. Returns
-- how many there were.
function exhaustion.admit(budget, now_ms, count)
  pending.flush()
  local key = keys.budget_waiters(budget)
  local ids = redis.call("ZRANGE", key, 0, count - 1)
  for _, id in ipairs(ids) do
    local x = record.load(id)
    waiters.leave(x)
    withhold.admit(x, now_ms)
  end
  pending.flush()
  if redis.call("EXISTS", key) == 1 then
    redis.call("SADD", keys.admitting(), budget)
  else
    redis.call("SREM", keys.admitting(), budget)
  end
  return #ids
end

-- Takes note of what a budget says of itself. Returns the newest version that is known now, and
-- whether that is this one.
function exhaustion.note(budget, version, action, now_ms, count)
  local known = told(budget)
  if version <= known then
    return known, false
  end
  redis.call("HSET", keys.exhausted(), budget, string.format("%.0f %s", version, action or "-"))
  if action == "withhold" then
    redis.call("SREM", keys.admitting(), budget)
  else
    exhaustion.admit(budget, now_ms, count)
  end
  return version, true
end

-- Goes on with what single calls could not do.
function exhaustion.go_on(now_ms, count)
  local budgets = redis.call("SMEMBERS", keys.admitting())
  table.sort(budgets)
  for _, budget in ipairs(budgets) do
    count = count - exhaustion.admit(budget, now_ms, count)
    if count <= 0 then
      break
    end
  end
end

-- Whether somebody is still to be let go.
function exhaustion.is_admitting()
  return redis.call("EXISTS", keys.admitting()) == 1
end

return exhaustion
