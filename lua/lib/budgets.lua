-- Budgets: their limits, what was used and what is reserved of them, and what is due with them.
--
-- A budget is one hash: small fields, and for each dimension "h:" its hard and "s:" its soft limit,
-- "u:" what was used, "r:" what is reserved. `holds:` keeps its reservations.
local amounts = require("lib.amounts")
local keys = require("lib.keys")
local ledger_parts = require("lib.ledger_parts")
local limits = require("generated.limits")
local op = require("lib.op")
local pending = require("lib.pending")
local fields = require("lib.fields")

local budgets = {}

local function number(b, name)
  return fields.number(b, name) or 0
end

local function earliest(a, b)
  if a == nil or (b ~= nil and b < a) then
    return b
  end
  return a
end

function budgets.new(id)
  local b = fields.new(keys.budget(id))
  b.id = id
  return b
end

-- What work that is attached to the budget has to know: what the budget does at its limit, once
-- that is reached.
local function mark_of(b)
  if b.f.on_hard == "warn" then
    return nil
  end
  for name, limit in pairs(b.f) do
    if name:sub(1, 2) == "h:" and number(b, "u:" .. name:sub(3)) >= tonumber(limit) then
      return b.f.on_hard
    end
  end
end

-- Has every partition told that has attached work. Versions follow the time, so that those of a
-- budget that is made anew are greater.
local function tell(b, mark, now_ms)
  fields.set(b, "mark", mark)
  fields.set(b, "version", math.max(number(b, "version") + 1, now_ms * 1000))
  if redis.call("EXISTS", keys.told(b.id)) == 1 then
    fields.set(b, "untold", now_ms)
    pending.add_row(keys.untold(), b.id, now_ms)
  end
end

-- Writes the budget and the time at which something happens to it by itself.
function budgets.commit(b, now_ms)
  local mark = mark_of(b)
  if mark ~= b.f.mark then
    tell(b, mark, now_ms)
  end
  fields.set(b, "updated_at", now_ms)
  fields.save(b)
  local at_ms = earliest(fields.number(b, "next_reset_at"), fields.number(b, "hold_at"))
  at_ms = earliest(at_ms, fields.number(b, "ledger_turn_at"))
  if at_ms == nil then
    pending.remove_row(keys.budget_times(), b.id)
  else
    pending.add_row(keys.budget_times(), b.id, at_ms)
  end
end

-- Begins a new generation: nothing is used, and nothing was breached.
function budgets.reset(b, now_ms)
  local gone = {}
  for name in pairs(b.f) do
    if name:sub(1, 2) == "u:" then
      gone[#gone + 1] = name
    end
  end
  for _, name in ipairs(gone) do
    fields.set(b, name, nil)
  end
  for _, name in ipairs({ "breached", "breached_at", "breaches", "soft_breaches" }) do
    fields.set(b, name, nil)
  end
  fields.set(b, "generation", number(b, "generation") + 1)
  fields.set(b, "reset_at", now_ms)
end

-- A reservation, or nil: whose it is, until when, how much.
function budgets.hold(b, reservation)
  local text = redis.call("HGET", keys.holds(b.id), reservation)
  if not text then
    return nil
  end
  local execution, until_ms, held = text:match("^(%S+) (%d+) ?(.*)$")
  return { execution = execution, until_ms = tonumber(until_ms), held = amounts.parse(held) }
end

local function change_reserved(b, held, sign)
  for _, name in ipairs(held.names) do
    local left = number(b, "r:" .. name) + sign * held.of[name]
    fields.set(b, "r:" .. name, left > 0 and left or nil)
  end
end

function budgets.add_hold(b, reservation, execution, until_ms, held)
  local text = string.format("%s %.0f %s", execution, until_ms, amounts.format(held))
  redis.call("HSET", keys.holds(b.id), reservation, text)
  change_reserved(b, held, 1)
  fields.set(b, "holds", number(b, "holds") + 1)
  fields.set(b, "hold_at", earliest(fields.number(b, "hold_at"), until_ms))
end

-- Lets a reservation go. The earliest end of all may be later then: looking for it can wait until
-- it has come.
function budgets.drop_hold(b, reservation, hold)
  redis.call("HDEL", keys.holds(b.id), reservation)
  change_reserved(b, hold.held, -1)
  local left = number(b, "holds") - 1
  fields.set(b, "holds", left > 0 and left or nil)
  if left == 0 then
    fields.set(b, "hold_at", nil)
  end
end

local function expire_holds(b, now_ms)
  local next_ms
  for _, reservation in ipairs(redis.call("HKEYS", keys.holds(b.id))) do
    local hold = budgets.hold(b, reservation)
    if hold.until_ms <= now_ms then
      budgets.drop_hold(b, reservation, hold)
    else
      next_ms = earliest(next_ms, hold.until_ms)
    end
  end
  fields.set(b, "hold_at", next_ms)
end

-- Applies what is due: a reset of its schedule, reservations and old rows whose time is over.
local function apply_due(b, now_ms)
  local at_ms, changed = fields.number(b, "next_reset_at"), false
  if at_ms ~= nil and at_ms <= now_ms then
    budgets.reset(b, now_ms)
    local every_ms = number(b, "reset_ms")
    local missed = math.floor((now_ms - at_ms) / every_ms)
    -- From the schedule, not from now: resets that come late must not make the next ones later.
    fields.set(b, "next_reset_at", at_ms + (missed + 1) * every_ms)
    changed = true
  end
  if (fields.number(b, "hold_at") or now_ms + 1) <= now_ms then
    expire_holds(b, now_ms)
    changed = true
  end
  if ledger_parts.turn(b, now_ms) or changed then
    budgets.commit(b, now_ms)
  end
end

-- The budget as it is stored, which may be only what others have yet to hear of it; nil for none.
function budgets.stored(id)
  local b = fields.load(keys.budget(id))
  if b ~= nil then
    b.id = id
  end
  return b
end

-- Loads a budget after all that is due has happened to it. Returns nil and the refusal when there
-- is none.
function budgets.load(id, now_ms)
  local b = budgets.stored(id)
  if b == nil or b.f.removed ~= nil then
    return nil, op.refuse("budget_not_found", { budget = id })
  end
  apply_due(b, now_ms)
  return b
end

-- Forgets a budget. What partitions have to hear of it stays until they have.
function budgets.remove(b, now_ms)
  local current, earlier = ledger_parts.keys(b)
  redis.call("UNLINK", current, earlier, keys.holds(b.id))
  pending.remove_row(keys.budgets(), b.id)
  pending.remove_row(keys.budget_times(), b.id)
  if b.f.mark ~= nil then
    tell(b, nil, now_ms)
  end
  redis.call("DEL", b.key)
  if b.f.untold ~= nil then
    redis.call("HSET", b.key, "version", b.f.version, "untold", b.f.untold, "removed", 1)
  else
    redis.call("DEL", keys.told(b.id))
  end
end

-- What partitions have yet to hear of budgets, at most `count` rows.
function budgets.news(count)
  pending.flush()
  local rows = {}
  for _, id in ipairs(redis.call("ZRANGE", keys.untold(), 0, count)) do
    local version, mark = unpack(redis.call("HMGET", keys.budget(id), "version", "mark"))
    local told, partitions = redis.call("HGETALL", keys.told(id)), {}
    for position = 1, #told, 2 do
      if told[position + 1] ~= version then
        partitions[#partitions + 1] = tonumber(told[position])
      end
    end
    table.sort(partitions)
    for _, partition in ipairs(partitions) do
      if #rows == count then
        return rows
      end
      rows[#rows + 1] = { id, version, mark, string.format("%.0f", partition) }
    end
  end
  return rows
end

-- Remembers that a partition heard of that version; once all have heard of the newest, that is all.
function budgets.told(id, partition, version, now_ms)
  local b, name = budgets.stored(id), string.format("%.0f", partition)
  if b ~= nil and number(b, "version") < version then
    fields.set(b, "version", version + 1)
    fields.set(b, "untold", b.f.untold or now_ms)
    fields.save(b)
    pending.add_row(keys.untold(), id, tonumber(b.f.untold))
    return
  end
  if b == nil or fields.number(b, "version") ~= version then
    return
  end
  if redis.call("HEXISTS", keys.told(id), name) == 1 then
    redis.call("HSET", keys.told(id), name, b.f.version)
  end
  for _, heard in ipairs(redis.call("HVALS", keys.told(id))) do
    if heard ~= b.f.version then
      return
    end
  end
  pending.remove_row(keys.untold(), id)
  redis.call("HDEL", b.key, "untold")
  if b.f.removed ~= nil then
    redis.call("DEL", b.key, keys.told(id))
  end
end

-- When there was news that not all have heard, or nil.
function budgets.untold_at()
  pending.flush()
  return tonumber(redis.call("ZRANGE", keys.untold(), 0, 0, "WITHSCORES")[2])
end

-- Why the budget cannot have these limits beside those of its other dimensions; nil when it can.
function budgets.crowded(b, list)
  local limited, count = {}, 0
  for name in pairs(b.f) do
    local kind = name:sub(1, 2)
    if kind == "h:" or kind == "s:" then
      limited[name:sub(3)] = true
    end
  end
  for _, limit in ipairs(list) do
    limited[limit.name] = (limit.hard or limit.soft) and true or nil
  end
  for _ in pairs(limited) do
    count = count + 1
  end
  if count > limits.budget_dimensions then
    return op.refuse("budget_overflow", { budget = b.id, dimension = "" })
  end
end

-- Sets the limits of the named dimensions; those of others stay.
function budgets.limit(b, list)
  for _, limit in ipairs(list) do
    fields.set(b, "h:" .. limit.name, limit.hard)
    fields.set(b, "s:" .. limit.name, limit.soft)
  end
end

-- Whether the budget can count these amounts at all, whatever its limits.
function budgets.overflow(b, given)
  local known, news = 0, 0
  for name in pairs(b.f) do
    if name:sub(1, 2) == "u:" then
      known = known + 1
    end
  end
  for _, name in ipairs(given.names) do
    local amount = given.of[name]
    if b.f["u:" .. name] == nil and amount > 0 then
      news = news + 1
    end
    if number(b, "u:" .. name) + number(b, "r:" .. name) + amount > limits.amount.max then
      return op.refuse("budget_overflow", { budget = b.id, dimension = name })
    end
  end
  if known + news > limits.budget_dimensions then
    return op.refuse("budget_overflow", { budget = b.id, dimension = "" })
  end
end

-- The first dimension whose hard limit the amounts would pass, beside what others reserved; nil
-- for none.
function budgets.beyond(b, given, own)
  for _, name in ipairs(given.names) do
    local hard = fields.number(b, "h:" .. name)
    local others = number(b, "r:" .. name) - (own.of[name] or 0)
    if hard ~= nil and number(b, "u:" .. name) + others + given.of[name] > hard then
      return name, number(b, "u:" .. name), hard
    end
  end
end

local function passed(b, given, kind)
  for _, name in ipairs(given.names) do
    local limit = fields.number(b, kind .. name)
    if limit ~= nil and number(b, "u:" .. name) > limit then
      return name, number(b, "u:" .. name), limit
    end
  end
end

local function breach(b, name, now_ms)
  fields.set(b, "breaches", number(b, "breaches") + 1)
  fields.set(b, "breached", name)
  fields.set(b, "breached_at", now_ms)
end

-- Counts amounts, or nothing at all where the limits are to be kept; returns what came of it.
function budgets.count(b, given, mode, own, now_ms)
  if mode == "enforce" then
    local name, current, hard = budgets.beyond(b, given, own)
    if name ~= nil then
      breach(b, name, now_ms)
      return string.format("hard_breach %s %.0f %.0f 0", name, current, hard)
    end
  end
  for _, name in ipairs(given.names) do
    if given.of[name] > 0 then
      fields.set(b, "u:" .. name, number(b, "u:" .. name) + given.of[name])
    end
  end
  local name, current, limit = passed(b, given, "h:")
  if name ~= nil then
    breach(b, name, now_ms)
    return string.format("hard_breach %s %.0f %.0f 1", name, current, limit)
  end
  name, current, limit = passed(b, given, "s:")
  if name ~= nil then
    fields.set(b, "soft_breaches", number(b, "soft_breaches") + 1)
    return string.format("soft_breach %s %.0f %.0f", name, current, limit)
  end
  return "ok"
end

-- Applies what is due to at most `count` budgets.
function budgets.promote(now_ms, count)
  pending.flush()
  local now = string.format("%.0f", now_ms)
  local due = redis.call("ZRANGEBYSCORE", keys.budget_times(), "-inf", now, "LIMIT", 0, count)
  for _, id in ipairs(due) do
    budgets.load(id, now_ms)
  end
end

-- The next time at which something happens to a budget by itself, or nil.
function budgets.next_at()
  pending.flush()
  return tonumber(redis.call("ZRANGE", keys.budget_times(), 0, 0, "WITHSCORES")[2])
end

return budgets
