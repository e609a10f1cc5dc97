-- One execution's small fields as a table, and back as the fewest writes.
local keys = require("lib.keys")

local record = {}

local function fresh(id, fields)
  return { id = id, f = fields, dirty = {}, names = {} }
end

function record.new(id)
  return fresh(id, {})
end

-- Returns nil when there is no such execution.
function record.load(id)
  local flat = redis.call("HGETALL", keys.execution(id))
  if #flat == 0 then
    return nil
  end
  local fields = {}
  for position = 1, #flat, 2 do
    fields[flat[position]] = flat[position + 1]
  end
  return fresh(id, fields)
end

-- Sets a field to text or to a whole number; nil removes it. Nothing is written before `save`. The
-- server writes a number's digits in full; only Lua's own conversion to text would lose some.
function record.set(x, name, value)
  if x.f[name] == value then
    return
  end
  x.f[name] = value
  if not x.dirty[name] then
    x.dirty[name] = true
    x.names[#x.names + 1] = name
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
  local key = keys.execution(x.id)
  if sets > 0 then
    redis.call("HSET", key, unpack(set))
  end
  if gones > 0 then
    redis.call("HDEL", key, unpack(gone))
  end
  x.dirty, x.names = {}, {}
end

return record
