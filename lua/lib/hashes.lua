-- Flows and groups as they are stored, each read at most once in a call and written once.
--
-- Such a hash has its own fields packed in one, beside entries, such as the edges of a group.
local bulk = require("lib.bulk")
local corruption = require("lib.corruption")

local hashes = {}

-- The field in which the own ones are packed; no entry has such a name.
local own = ""

-- From here on not every whole number is one of Lua's.
local exact_max = 9007199254740992

-- key → the hash as this call knows it.
local known

function hashes.begin()
  known = {}
end

local function is_sound(fields)
  if type(fields) ~= "table" then
    return false
  end
  for name, value in pairs(fields) do
    local kind = type(value)
    if type(name) ~= "string" or (kind ~= "string" and kind ~= "number") then
      return false
    end
  end
  return true
end

local function unpack_own(key, text)
  local parses, fields, more = pcall(cmsgpack.unpack, text)
  if not parses or more ~= nil or not is_sound(fields) then
    corruption.tell(key, "fields", "do not parse")
  end
  return fields
end

-- The hash under a key; one that is not there has no fields.
function hashes.open(key)
  local h = known[key]
  if h == nil then
    local text = redis.call("HGET", key, own)
    h = { key = key, f = text and unpack_own(key, text) or {}, entries = {} }
    known[key] = h
  end
  return h
end

-- A hash that is known not to be there yet: nothing of it has to be read.
function hashes.fresh(key)
  local h = { key = key, f = {}, entries = {}, is_fresh = true }
  known[key] = h
  return h
end

-- A field as text or number; nil when it is not there.
function hashes.get(h, name)
  return h.f[name]
end

-- A field that counts: one that is not there counts nothing.
function hashes.number(h, name)
  local value = h.f[name]
  if value == nil then
    return 0
  elseif type(value) == "string" or value < 0 or value % 1 ~= 0 or value >= exact_max then
    corruption.tell(h.key, name, "is no whole number")
  end
  return value
end

-- Sets a field to text or to a whole number; nil removes it. Written when the call ends.
function hashes.set(h, name, value)
  h.f[name] = value
  h.is_changed = true
end

function hashes.add(h, name, by)
  local value = hashes.number(h, name) + by
  h.f[name] = value ~= 0 and value or nil
  h.is_changed = true
end

-- The text of an entry; nil when it is not there.
function hashes.entry(h, name)
  local text = h.entries[name]
  if text == nil and not h.is_fresh then
    text = redis.call("HGET", h.key, name)
    h.entries[name] = text
  end
  return text or nil
end

function hashes.set_entry(h, name, text)
  h.entries[name] = text
  h.told = h.told or {}
  h.told[name] = text
end

local function write(h)
  local values = h.is_changed and { own, cmsgpack.pack(h.f) } or {}
  for name, text in pairs(h.told or {}) do
    values[#values + 1] = name
    values[#values + 1] = text
  end
  bulk.send("HSET", h.key, values, #values)
  h.is_changed, h.told = nil, nil
end

function hashes.flush()
  for _, h in pairs(known) do
    if h.is_changed or h.told then
      write(h)
    end
  end
end

-- Forgets a hash that is being removed.
function hashes.remove(key)
  known[key] = nil
  redis.call("DEL", key)
end

return hashes
