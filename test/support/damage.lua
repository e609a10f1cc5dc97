-- Damages one field of what is stored packed: of executions, flows and groups.
local record = require("lib.record")

-- Those are stored as numbers, so no text can be put in their place.
local numbers = {
  created_at = true,
  ended_at = true,
  expires_at = true,
  lease_ms = true,
  started_at = true,
  updated_at = true,
}

-- Arguments: the field, and what to put in its place; without that the field is removed.
redis.register_function(LIBRARY .. "_damage", function(keys, args)
  local fields = record.unpack(redis.call("GET", keys[1]))
  local name, value = args[1], args[2]
  if value and numbers[name] then
    value = tonumber(value) or error(name .. " is a number")
  end
  fields[name] = value
  -- What every record has stands in it as nothing.
  for _, word in ipairs({ "lane", "state", "task" }) do
    fields[word] = fields[word] or ""
  end
  fields.created_at, fields.updated_at = fields.created_at or 0, fields.updated_at or 0
  redis.call("SET", keys[1], record.pack(fields))
end)

local function own_fields(key)
  return cmsgpack.unpack(redis.call("HGET", key, ""))
end

redis.register_function(LIBRARY .. "_damage_own", function(keys, args)
  local fields = own_fields(keys[1])
  fields[args[1]] = tonumber(args[2]) or args[2]
  redis.call("HSET", keys[1], "", cmsgpack.pack(fields))
end)

redis.register_function(LIBRARY .. "_own_field", function(keys, args)
  local value = own_fields(keys[1])[args[1]]
  return value and tostring(value)
end)

-- One field as text, or nothing when it is not there.
redis.register_function(LIBRARY .. "_field", function(keys, args)
  return record.unpack(redis.call("GET", keys[1]))[args[1]]
end)
