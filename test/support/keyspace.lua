-- What tests see of the server: everything it stores in one canonical form, and how to load that.
local clock = require("lib.clock")
local op = require("lib.op")
local record = require("lib.record")

-- The text being written, as pieces.
local out, pieces = {}, 0

-- Whole numbers with the mark behind them; writing a number anew each time would cost the most.
local function marked(mark)
  return setmetatable({}, {
    __index = function(known, number)
      local text = number .. mark
      known[number] = text
      return text
    end,
  })
end

local sizes, counts

local function begin()
  out, pieces = {}, 0
  -- Not before the first call: while a library loads, a server offers none of Lua's functions.
  sizes, counts = sizes or marked(":"), counts or marked(",")
end

-- Texts carry their length, so that two different contents never look alike.
local function put(text)
  out[pieces + 1] = sizes[#text]
  out[pieces + 2] = text
  pieces = pieces + 2
end

local function put_count(count)
  pieces = pieces + 1
  out[pieces] = counts[count]
end

local function put_all(items)
  put_count(#items)
  for position = 1, #items do
    put(items[position])
  end
end

local function sorted(texts)
  table.sort(texts)
  return texts
end

-- Names and texts in the order of the names.
local function put_fields(values)
  local names = {}
  for name in pairs(values) do
    names[#names + 1] = name
  end
  put_count(2 * #names)
  for _, name in ipairs(sorted(names)) do
    put(name)
    put(values[name])
  end
end

-- Each reader writes how many texts there are, then the texts in their canonical order.
local readers = {
  -- An execution's fields, which are packed into one string.
  record = function(key)
    local fields = record.unpack(redis.call("GET", key))
    for name, value in pairs(fields) do
      fields[name] = type(value) == "number" and string.format("%.0f", value) or value
    end
    put_fields(fields)
  end,
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
    put_all(sorted(redis.call("SMEMBERS", key)))
  end,
  hash = function(key)
    local flat, values = redis.call("HGETALL", key), {}
    for position = 1, #flat, 2 do
      values[flat[position]] = flat[position + 1]
    end
    -- The own fields of flows and groups are packed in one without a name.
    for name, value in pairs(values[""] and cmsgpack.unpack(values[""]) or {}) do
      values[name] = type(value) == "number" and string.format("%.0f", value) or value
    end
    values[""] = nil
    put_fields(values)
  end,
}

-- Key → its type, and how its entry begins. Reading a key as another type fails, so that one that
-- changes its type is noticed.
local kinds, heads = {}, {}

-- A key that is not of the partition is marked, so that no dump of ours has it.
local function meet(key, own)
  local kind = redis.call("TYPE", key).ok
  local name = key:sub(1, #own) == own and key:sub(#own + 1) or "!" .. key
  local is_record = kind == "string" and name:sub(1, 2) == "x:"
  kinds[key] = is_record and "record" or kind
  kind = is_record and "hash" or kind
  heads[key] = #name .. ":" .. name .. #kind .. ":" .. kind
end

-- The whole database.
local function dump(tag)
  begin()
  for _, key in ipairs(sorted(redis.call("KEYS", "*"))) do
    if kinds[key] == nil then
      meet(key, tag .. ":")
    end
    pieces = pieces + 1
    out[pieces] = heads[key]
    local reader = readers[kinds[key]]
    if reader ~= nil then
      reader(key)
    end
  end
  return table.concat(out)
end

-- Every key as the server itself serialises it: quicker than `dump`, but equal contents may look
-- different when they came about in different ways.
local function serialised()
  local values, count = {}, 0
  for _, key in ipairs(redis.call("KEYS", "*")) do
    values[key], count = redis.call("DUMP", key), count + 1
  end
  return { values = values, count = count }
end

-- The keys whose value is not what it was, and how many are as they were.
local function differing(loaded)
  local found, kept = {}, 0
  for _, key in ipairs(redis.call("KEYS", "*")) do
    if redis.call("DUMP", key) == loaded.values[key] then
      kept = kept + 1
    else
      found[#found + 1] = key
    end
  end
  return found, kept
end

-- Takes back what was done to these keys, and brings back those that are gone.
local function restore(loaded, found, kept)
  for _, key in ipairs(found) do
    local value = loaded.values[key]
    kinds[key] = nil
    if value == nil then
      redis.call("DEL", key)
    else
      redis.call("RESTORE", key, 0, value, "REPLACE")
      kept = kept + 1
    end
  end
  if kept < loaded.count then
    for key, value in pairs(loaded.values) do
      if redis.call("EXISTS", key) == 0 then
        redis.call("RESTORE", key, 0, value)
      end
    end
  end
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

local function load_texts(key, writer, args, first, last)
  for from = first, last, writer[2] do
    redis.call(writer[1], key, unpack(args, from, math.min(from + writer[2] - 1, last)))
  end
end

local function load_record(key, args, first, last)
  local fields = {}
  for position = first, last, 2 do
    fields[args[position]] = args[position + 1]
  end
  redis.call("SET", key, record.pack(fields))
end

-- Writes what `args` lists from `position` on: key, type, number of texts, texts.
local function load(tag, args, position, last)
  while position <= last do
    local key, writer = tag .. ":" .. args[position], writers[args[position + 1]]
    local count = tonumber(args[position + 2])
    position = position + 3
    if args[position - 3]:sub(1, 2) == "x:" then
      load_record(key, args, position, position + count - 1)
    else
      load_texts(key, writer, args, position, position + count - 1)
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
  clear()
  load(tag, args, 2, state_last)
  local loaded, before = serialised(), dump(tag)
  local tags, answers, position = { tag }, {}, state_last + 1
  while position <= #args do
    local last = position + 1 + tonumber(args[position + 1])
    clock.set(tonumber(args[position]))
    local replies = op.serve(tags, { unpack(args, position + 2, last) }, false)
    begin()
    put_reply(replies.err and replies or replies[1])
    local reply, after = table.concat(out), before
    local found, kept = differing(loaded)
    if #found > 0 or kept < loaded.count then
      after = dump(tag)
      restore(loaded, found, kept)
    end
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
  -- What is stored is most often what was stored before.
  local stored, digest
  return run_edges(tags[1], args, function(reply, after)
    if after ~= stored then
      stored, digest = after, redis.sha1hex(after)
    end
    return redis.sha1hex(reply .. "\n" .. digest)
  end)
end)

redis.register_function(LIBRARY .. "_edges_in_full", function(tags, args)
  return run_edges(tags[1], args, function(reply, after)
    return { reply, after }
  end)
end)
