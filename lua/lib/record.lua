-- One execution's small fields as a table, and back as the fewest writes.
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local lifecycle = require("generated.lifecycle")

local record = {}

-- Room for the fields that most executions have: a table that grows field by field is laid out
-- anew at every doubling, which costs more than all else that is done with it.
local function empty_fields()
  return {
    attempt = nil,
    created_at = nil,
    ended_at = nil,
    epoch = nil,
    expires_at = nil,
    lane = nil,
    large = nil,
    lease_id = nil,
    lease_ms = nil,
    retry = nil,
    settled = nil,
    started_at = nil,
    state = nil,
    task = nil,
    updated_at = nil,
    worker = nil,
  }
end

-- Room for the names of the fields that one operation changes.
local function empty_names()
  return { nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
end

-- Whether there is a time that is not the score of the execution's own index.
function record.timed(f)
  return f.deadline_at ~= nil
    or f.grant_until ~= nil
    or f.wait_until ~= nil
    or f.permit_until ~= nil
end

local function fresh(id, key, fields)
  local timed = record.timed(fields)
  return { id = id, key = key, f = fields, names = empty_names(), changes = 0, timed = timed }
end

function record.new(id)
  return fresh(id, keys.execution(id), empty_fields())
end

-- Returns nil when there is no such execution.
function record.load(id)
  local key = keys.execution(id)
  local flat = redis.call("HGETALL", key)
  local count = #flat
  if count == 0 then
    return nil
  end
  local fields = empty_fields()
  for position = 1, count, 2 do
    fields[flat[position]] = flat[position + 1]
  end
  if lifecycle[fields.state] == nil then
    corruption.tell(key, "state", fields.state and "is unknown" or "is missing")
  end
  return fresh(id, key, fields)
end

-- Sets a field to text or to a whole number; nil removes it. Nothing is written before `save`. The
-- server writes a number's digits in full; only Lua's own conversion to text would lose some.
function record.set(x, name, value)
  local f = x.f
  if f[name] ~= value then
    f[name] = value
    -- A field that changes twice is named twice, and written twice alike.
    local changes = x.changes + 1
    x.changes = changes
    x.names[changes] = name
  end
end

-- A field's number, or nil when it is not there.
function record.number(x, name)
  local text = x.f[name]
  return text and corruption.number(x.key, name, text)
end

-- The number of a field that must be there.
function record.need(x, name)
  return corruption.number(x.key, name, x.f[name])
end

local function write(x, set, sets, gone, gones)
  if sets > 0 then
    redis.call("HSET", x.key, unpack(set, 1, sets))
  end
  if gones > 0 then
    redis.call("HDEL", x.key, unpack(gone, 1, gones))
  end
end

function record.save(x)
  local f, names = x.f, x.names
  local set = {
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
    nil,
  }
  local gone, sets, gones = {}, 0, 0
  for position = 1, x.changes do
    local name = names[position]
    local value = f[name]
    if value == nil then
      gones = gones + 1
      gone[gones] = name
    else
      set[sets + 1] = name
      set[sets + 2] = value
      sets = sets + 2
    end
  end
  write(x, set, sets, gone, gones)
  x.changes = 0
end

return record
