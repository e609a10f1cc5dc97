-- What tests see of the server: everything it stores in one canonical form, and how to load that.
local clock = require("lib.clock")
local op = require("lib.op")

-- Texts carry their length, so that two different contents never look alike.
local function put(out, text)
  local n = #out
  out[n + 1] = #text
  out[n + 2] = ":"
  out[n + 3] = text
end

-- Each reader appends how many texts there are, then the texts in their canonical order.
local readers = {
  string = function(out, key)
    out[#out + 1] = "1,"
    put(out, redis.call("GET", key))
  end,
  list = function(out, key)
    local items = redis.call("LRANGE", key, 0, -1)
    out[#out + 1] = #items .. ","
    for position = 1, #items do
      put(out, items[position])
    end
  end,
  zset = function(out, key)
    local flat = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
    out[#out + 1] = #flat .. ","
    for position = 1, #flat do
      put(out, flat[position])
    end
  end,
  set = function(out, key)
    local items = redis.call("SMEMBERS", key)
    table.sort(items)
    out[#out + 1] = #items .. ","
    for position = 1, #items do
      put(out, items[position])
    end
  end,
  hash = function(out, key)
    local flat = redis.call("HGETALL", key)
    local names, values = {}, {}
    for position = 1, #flat, 2 do
      local name = flat[position]
      names[#names + 1] = name
      values[name] = flat[position + 1]
    end
    table.sort(names)
    out[#out + 1] = #flat .. ","
    for position = 1, #names do
      put(out, names[position])
      put(out, values[names[position]])
    end
  end,
}

-- The whole database. A key that is not of the partition is marked, so that no dump of ours has it.
local function dump(tag)
  local keys, own = redis.call("KEYS", "*"), tag .. ":"
  table.sort(keys)
  local out = {}
  for position = 1, #keys do
    local key = keys[position]
    local kind = redis.call("TYPE", key).ok
    put(out, key:sub(1, #own) == own and key:sub(#own + 1) or "!" .. key)
    put(out, kind)
    if redis.call("PTTL", key) ~= -1 then
      put(out, "!expires")
    end
    local reader = readers[kind]
    if reader ~= nil then
      reader(out, key)
    end
  end
  return table.concat(out)
end

local writers = {
  string = { "SET", 1 },
  list = { "RPUSH", 1000 },
  zset = { "ZADD", 1000 },
  set = { "SADD", 1000 },
  hash = { "HSET", 1000 },
}

-- Writes what `args` lists from `position` on: key, type, number of texts, texts.
local function load(tag, args, position, last)
  while position <= last do
    local key, writer = tag .. ":" .. args[position], writers[args[position + 1]]
    local count = tonumber(args[position + 2])
    position = position + 3
    for first = position, position + count - 1, writer[2] do
      local to = math.min(first + writer[2], position + count) - 1
      redis.call(writer[1], key, unpack(args, first, to))
    end
    position = position + count
  end
end

local function clear()
  local keys = redis.call("KEYS", "*")
  if #keys > 0 then
    redis.call("UNLINK", unpack(keys))
  end
end

-- One text for a whole reply.
local function write_reply(out, reply)
  if type(reply) == "table" then
    if reply.err ~= nil then
      put(out, "!" .. reply.err)
      return
    end
    out[#out + 1] = "*" .. #reply .. ","
    for position = 1, #reply do
      write_reply(out, reply[position])
    end
  elseif type(reply) == "string" then
    put(out, reply)
  else
    out[#out + 1] = reply and "#" .. reply .. "," or "_"
  end
end

-- Performs each edge from the same stored state. Arguments: how many of them describe the state,
-- those; then for each edge the time, the number of its parts, the parts of the call.
local function run_edges(tag, args, answer)
  local state_last = 1 + tonumber(args[1])
  local replies, position, fresh = {}, state_last + 1, false
  local before
  while position <= #args do
    if not fresh then
      clear()
      load(tag, args, 2, state_last)
      before = before or dump(tag)
    end
    local count = tonumber(args[position + 1])
    local parts = { unpack(args, position + 2, position + 1 + count) }
    clock.set(tonumber(args[position]))
    local out = {}
    write_reply(out, op.serve({ tag }, parts, false))
    local after = dump(tag)
    -- A call that changed nothing leaves the state ready for the next one.
    fresh = after == before
    replies[#replies + 1] = answer(table.concat(out), after)
    position = position + 2 + count
  end
  clear()
  return replies
end

redis.register_function(LIBRARY .. "_dump", function(tags)
  return dump(tags[1])
end)

redis.register_function(LIBRARY .. "_digest", function(tags)
  return redis.sha1hex(dump(tags[1]))
end)

redis.register_function(LIBRARY .. "_edges", function(tags, args)
  return run_edges(tags[1], args, function(reply, after)
    return redis.sha1hex(reply .. "\n" .. after)
  end)
end)

redis.register_function(LIBRARY .. "_edges_in_full", function(tags, args)
  return run_edges(tags[1], args, function(reply, after)
    return { reply, after }
  end)
end)
