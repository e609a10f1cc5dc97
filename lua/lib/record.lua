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

-- Sets a field to text or to a whole number; nil removes it. Nothing is written before `save`.
function record.set(x, name, value)
  if type(value) == "number" then
    -- Plain digits: Lua's own conversion would lose the last digits of an epoch.
    value = string.format("%.0f", value)
  end
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
  local set, gone = {}, {}
  for _, name in ipairs(x.names) do
    local value = x.f[name]
    if value == nil then
      gone[#gone + 1] = name
    else
      set[#set + 1] = name
      set[#set + 1] = value
    end
  end
  local key = keys.execution(x.id)
  if #set > 0 then
    redis.call("HSET", key, unpack(set))
  end
  if #gone > 0 then
    redis.call("HDEL", key, unpack(gone))
  end
  x.dirty, x.names = {}, {}
end

return record
