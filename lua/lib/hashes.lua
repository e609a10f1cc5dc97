-- Hashes that one server call reads field by field at most once, and writes once.
local corruption = require("lib.corruption")

local hashes = {}

-- key → the hash as this call knows it.
local known

function hashes.begin()
  known = {}
end

-- The hash under a key, with these fields at hand.
function hashes.open(key, names)
  local h = known[key]
  if h == nil then
    h = { key = key, f = {}, changed = {} }
    known[key] = h
    local found = redis.call("HMGET", key, unpack(names))
    for position, name in ipairs(names) do
      h.f[name] = found[position]
    end
  end
  return h
end

-- A hash that is known not to be there yet: nothing of it has to be read.
function hashes.fresh(key)
  local h = { key = key, f = {}, changed = {}, is_fresh = true }
  known[key] = h
  return h
end

-- A field as text or number; nil when it is not there.
function hashes.get(h, name)
  local value = h.f[name]
  if value == nil and not h.is_fresh then
    value = redis.call("HGET", h.key, name)
    h.f[name] = value
  end
  return value or nil
end

-- A field that counts: one that is not there counts nothing.
function hashes.number(h, name)
  local value = hashes.get(h, name)
  if type(value) == "string" then
    return corruption.number(h.key, name, value)
  end
  return value or 0
end

-- Sets a field to text or to a whole number; nil removes it. Written when the call ends.
function hashes.set(h, name, value)
  h.f[name] = value or false
  h.changed[name] = true
  h.dirty = true
end

function hashes.add(h, name, by)
  local value = hashes.number(h, name) + by
  hashes.set(h, name, value ~= 0 and value or nil)
end

-- A server call takes a limited number of values at once.
local values_max = 2000

local function send(command, key, values)
  for first = 1, #values, values_max do
    local last = math.min(first + values_max - 1, #values)
    redis.call(command, key, unpack(values, first, last))
  end
end

local function write(h)
  local set, gone = {}, {}
  for name in pairs(h.changed) do
    local value = h.f[name]
    if value then
      set[#set + 1] = name
      set[#set + 1] = value
    else
      gone[#gone + 1] = name
    end
  end
  send("HSET", h.key, set)
  send("HDEL", h.key, gone)
  h.changed, h.dirty = {}, nil
end

function hashes.flush()
  for _, h in pairs(known) do
    if h.dirty then
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
