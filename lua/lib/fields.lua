-- A hash as a table of its fields, and back as the fewest writes.
local fields = {}

function fields.new(key)
  return { key = key, f = {}, names = {}, changes = 0 }
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
    b.changes = b.changes + 1
    b.names[b.changes] = name
  end
end

function fields.number(b, name)
  return tonumber(b.f[name])
end

-- A field that changed twice is named twice, and written twice alike.
function fields.save(b)
  local set, gone = {}, {}
  for position = 1, b.changes do
    local name = b.names[position]
    local value = b.f[name]
    if value == nil then
      gone[#gone + 1] = name
    else
      set[#set + 1] = name
      set[#set + 1] = value
    end
  end
  if #set > 0 then
    redis.call("HSET", b.key, unpack(set))
  end
  if #gone > 0 then
    redis.call("HDEL", b.key, unpack(gone))
  end
  b.changes = 0
end

return fields
