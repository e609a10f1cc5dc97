-- What tests see of the server: everything it stores in one canonical form, and how to load that.
local clock = require("lib.clock")
local op = require("lib.op")

-- The text being written, as pieces.
local out, pieces = {}, 0

local function begin()
  out, pieces = {}, 0
end

-- Texts carry their length, so that two different contents never look alike.
local function put(text)
  out[pieces + 1] = #text
  out[pieces + 2] = ":"
  out[pieces + 3] = text
  pieces = pieces + 3
end

local function put_count(count)
  out[pieces + 1] = count
  out[pieces + 2] = ","
  pieces = pieces + 2
end

local function put_all(items)
  put_count(#items)
  for position = 1, #items do
    put(items[position])
  end
end

-- Each reader writes how many texts there are, then the texts in their canonical order.
local readers = {
  string = function(key)
    put_all({ redis.call("GET", key) })
  end,
  list = function(key)
    put_all(redis.call("LRANGE", key, 0, -1))
  end,
  zset = function(key)
    put_all(redis.call("ZRANGE", key, 0, -1, "WITHSCORES"))
  end,
  set = function(key)
    local items = redis.call("SMEMBERS", key)
    table.sort(items)
    put_all(items)
  end,
  hash = function(key)
    local flat = redis.call("HGETALL", key)
    local names, values = {}, {}
    for position = 1, #flat, 2 do
      local name = flat[position]
      names[(position + 1) / 2] = name
      values[name] = flat[position + 1]
    end
    table.sort(names)
    put_count(#flat)
    for position = 1, #names do
      local name = names[position]
      put(name)
      put(values[name])
    end
  end,
}

-- Key → its type when it was last asked for. Reading as another type fails, so a key that changes
-- its type is noticed.
local kinds = {}

-- The whole database. A key that is not of the partition is marked, so that no dump of ours has it.
local function dump(tag)
  local keys, own = redis.call("KEYS", "*"), tag .. ":"
  local own_size = #own
  table.sort(keys)
  begin()
  for position = 1, #keys do
    local key = keys[position]
    local kind = kinds[key]
    if kind == nil then
      kind = redis.call("TYPE", key).ok
      kinds[key] = kind
    end
    put(key:sub(1, own_size) == own and key:sub(own_size + 1) or "!" .. key)
    put(kind)
    local reader = readers[kind]
    if reader ~= nil then
      reader(key)
    end
  end
  return table.concat(out)
end

-- Nothing of ours expires by the server's own clock.
local function expiring()
  local found = {}
  for _, key in ipairs(redis.call("KEYS", "*")) do
    if redis.call("PTTL", key) ~= -1 then
      found[#found + 1] = key
    end
  end
  return found
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
    redis.call("DEL", unpack(keys))
  end
  kinds = {}
end

-- Writes one text for a whole reply.
local function put_reply(reply)
  if type(reply) == "string" then
    put(reply)
  elseif type(reply) == "table" and reply.err ~= nil then
    put("!" .. reply.err)
  elseif type(reply) == "table" then
    out[pieces + 1] = "*"
    pieces = pieces + 1
    put_count(#reply)
    for position = 1, #reply do
      put_reply(reply[position])
    end
  elseif reply then
    put(string.format("%.0f", reply))
  else
    out[pieces + 1] = "_"
    pieces = pieces + 1
  end
end

-- Performs each edge from the same stored state. Arguments: how many of them describe the state,
-- those; then for each edge the time, the number of its parts, the parts of the call.
local function run_edges(tag, args, answer)
  local state_last = 1 + tonumber(args[1])
  local tags, answers, position, fresh = { tag }, {}, state_last + 1, false
  local before
  while position <= #args do
    if not fresh then
      clear()
      load(tag, args, 2, state_last)
      before = before or dump(tag)
    end
    local last = position + 1 + tonumber(args[position + 1])
    clock.set(tonumber(args[position]))
    local replies = op.serve(tags, { unpack(args, position + 2, last) }, false)
    begin()
    put_reply(replies.err and replies or replies[1])
    local reply = table.concat(out)
    local after = dump(tag)
    -- A call that changed nothing leaves the state ready for the next one.
    fresh = after == before
    answers[#answers + 1] = answer(reply, after)
    position = last + 1
  end
  clear()
  return answers
end

redis.register_function(LIBRARY .. "_dump", function(tags)
  kinds = {}
  return dump(tags[1])
end)

redis.register_function(LIBRARY .. "_digest", function(tags)
  kinds = {}
  return redis.sha1hex(dump(tags[1]))
end)

redis.register_function(LIBRARY .. "_expiring", expiring)

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
