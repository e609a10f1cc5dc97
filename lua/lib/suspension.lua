-- The latest suspension of an execution: what it waits for and what has come already.
local condition = require("lib.condition")
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local record = require("lib.record")
local waitpoints = require("lib.waitpoints")

local suspension = {}

-- What a signal did, by what the condition made of it.
local effects = {
  new = "appended_to_waitpoint",
  dup = "appended_to_waitpoint_duplicate",
  mismatch = "signal_ignored_matcher_failed",
  none = "signal_ignored_not_in_condition",
}

-- A new suspension: `f` are its fields, `ids` the waitpoints it is bound to, `tokens` what signals
-- contributed to its condition, with the position of each signal.
function suspension.new(fields, ids)
  fields.points = table.concat(ids, ",")
  return { f = fields, ids = ids, tokens = {} }
end

-- Returns nil when there never was one.
function suspension.load(x)
  local key = keys.suspension(x.id)
  local flat = redis.call("HGETALL", key)
  if #flat == 0 then
    if x.f.suspension ~= nil then
      corruption.tell(key, "record", "is missing")
    end
    return nil
  end
  local fields, tokens, ids = {}, {}, {}
  for position = 1, #flat, 2 do
    local name = flat[position]
    if name:byte() == 43 then
      tokens[name:sub(2)] = flat[position + 1]
    else
      fields[name] = flat[position + 1]
    end
  end
  if fields.points == nil then
    corruption.tell(key, "points", "is missing")
  end
  for id in fields.points:gmatch("[^,]+") do
    ids[#ids + 1] = id
  end
  return { key = key, f = fields, ids = ids, tokens = tokens }
end

local function text(value)
  return type(value) == "number" and string.format("%.0f", value) or value
end

-- Replaces the suspension before it.
function suspension.store(x, s)
  local values = {}
  for name, value in pairs(s.f) do
    values[#values + 1] = name
    values[#values + 1] = text(value)
  end
  for token, position in pairs(s.tokens) do
    values[#values + 1] = "+" .. token
    values[#values + 1] = text(position)
  end
  local key = keys.suspension(x.id)
  redis.call("DEL", key)
  for first = 1, #values, 1000 do
    redis.call("HSET", key, unpack(values, first, math.min(first + 999, #values)))
  end
end

-- Sets fields of the stored suspension; nil removes one.
function suspension.update(x, s, fields, removed)
  local values = {}
  for name, value in pairs(fields) do
    s.f[name] = value
    values[#values + 1] = name
    values[#values + 1] = text(value)
  end
  redis.call("HSET", keys.suspension(x.id), unpack(values))
  for _, name in ipairs(removed or {}) do
    s.f[name] = nil
    redis.call("HDEL", keys.suspension(x.id), name)
  end
end

-- A field's number, or nil when it is not there.
function suspension.number(s, name)
  local value = s.f[name]
  return value and corruption.number(s.key, name, value)
end

function suspension.tree(s)
  return s.f.condition and condition.parse(s.f.condition, #s.ids)
    or corruption.tell(s.key, "condition", s.f.condition and "does not parse" or "is missing")
end

local function place(s, waitpoint)
  for position, id in ipairs(s.ids) do
    if id == waitpoint then
      return position - 1
    end
  end
end

-- Offers an accepted signal to the condition. Returns its effect, whether the condition is met
-- now, and the tokens that it added.
function suspension.offer(s, tree, signal)
  local seen = {
    point = place(s, signal.waitpoint),
    id = signal.id,
    name = signal.name,
    category = signal.category,
    source = signal.source,
    identity = signal.identity,
    correlation = signal.correlation,
  }
  local effect, additions = condition.offer(tree, seen, s.tokens)
  for _, token in ipairs(additions) do
    s.tokens[token] = signal.position
  end
  local met = effect == "new" and condition.satisfied(tree, condition.tally(s.tokens))
  return met and "resume_condition_satisfied" or effects[effect], met, additions
end

-- Closes the suspension and every waitpoint that it is bound to.
function suspension.close(x, s, how, closer, now_ms)
  suspension.update(x, s, { closed_at = now_ms, closed = how, closer = closer })
  for _, id in ipairs(s.ids) do
    local point = waitpoints.load(x, id) or corruption.tell(keys.waitpoints(x.id), id, "is missing")
    if point.state ~= "closed" then
      waitpoints.close(x, point, how, now_ms)
    end
  end
end

-- Forgets in the execution's own fields that it is suspended.
function suspension.leave(x)
  record.set(x, "suspension", nil)
  record.set(x, "wait_until", nil)
end

-- Positions of the signals that met the condition, in the order of their acceptance.
function suspension.satisfiers(s)
  local seen, positions = {}, {}
  for token, position in pairs(s.tokens) do
    position = corruption.number(s.key, "+" .. token, position)
    if not seen[position] then
      seen[position] = true
      positions[#positions + 1] = position
    end
  end
  local closer = suspension.number(s, "closer")
  if closer and not seen[closer] then
    positions[#positions + 1] = closer
  end
  table.sort(positions)
  return positions
end

return suspension
