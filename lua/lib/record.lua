-- One execution's small fields as a table, and back as the fewest writes.
local keys = require("lib.keys")

local record = {}

local function fresh(id, key, fields)
  return { id = id, key = key, f = fields, dirty = {}, names = {} }
end

function record.new(id)
  return fresh(id, keys.execution(id), {})
end

-- Returns nil when there is no such execution.
function record.load(id)
  local key = keys.execution(id)
  local flat = redis.call("HGETALL", key)
  if #flat == 0 then
    return nil
  end
  local fields = {}
  for position = 1, #flat, 2 do
    fields[flat[position]] = flat[position + 1]
  end
  return fresh(id, key, fields)
end

-- Sets a field to text or to a whole number; nil removes it. Nothing is written before `save`. The
-- server writes a number's digits in full; only Lua's own conversion to text would lose some.
function record.set(x, name, value)
  local f = x.f
  if f[name] == value then
    return
  end
  f[name] = value
  local dirty = x.dirty
  if not dirty[name] then
    dirty[name] = true
    local names = x.names
    names[#names + 1] = name
  end
end

function record.number(x, name)
  return tonumber(x.f[name])
end

function record.save(x)
  local f, names = x.f, x.names
  local set, gone, sets, gones = {}, {}, 0, 0
  for position = 1, #names do
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
  local key = x.key
  if sets > 0 then
    redis.call("HSET", key, unpack(set))
  end
  if gones > 0 then
    redis.call("HDEL", key, unpack(gone))
  end
  x.dirty, x.names = {}, {}
end

return record
