-- A hash as a table of its fields, and back as the fewest writes.
local bulk = require("lib.bulk")

local fields = {}

function fields.new(key)
  return { key = key, f = {}, changed = {} }
end

-- Returns nil when there is no such hash.
function fields.load(key)
  local flat = redis.call("HGETALL", key)
  if #flat == 0 then
    return nil
  end
  local b = fields.new(key)
  for position = 1, #flat, 2 do
    b.f[flat[position]] = flat[position + 1]
  end
  return b
end

-- Sets a field to text or to a whole number; nil removes it. Nothing is written before `save`.
function fields.set(b, name, value)
  if b.f[name] ~= value then
    b.f[name] = value
    b.changed[name] = true
  end
end

function fields.number(b, name)
  return tonumber(b.f[name])
end

function fields.save(b)
  local set, gone = {}, {}
  for name in pairs(b.changed) do
    local value = b.f[name]
    if value == nil then
      gone[#gone + 1] = name
    else
      set[#set + 1] = name
      set[#set + 1] = value
    end
  end
  bulk.send("HSET", b.key, set, #set)
  bulk.send("HDEL", b.key, gone, #gone)
  b.changed = {}
end

return fields
