-- The accepted signals of an execution, in the order of their acceptance.
--
-- One hash holds them all: by position what is known of a signal, `p` and the position its payload,
-- `i` and its id or `k` and waitpoint and key the position, `r` and the sender how often it sent.
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local limits = require("generated.limits")

local signals = {}

local function sized(text)
  return #text .. ":" .. text
end

-- The words of a stored signal, then three texts that carry their length.
local pattern = "^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%d+) ([%d,]+) (%S+) (%S+) ()"

-- Nil unless the record ends with the last of them.
local function texts(record, from)
  local found = {}
  for position = 1, 3 do
    local size, start = record:match("^(%d+):()", from)
    if size == nil then
      return nil
    end
    from = start + tonumber(size)
    found[position] = record:sub(start, from - 1)
  end
  return from == #record + 1 and found or nil
end

-- Nil when the record does not parse.
local function read(position, record)
  local found = { record:match(pattern) }
  local last = found[11] and texts(record, found[11])
  if not last then
    return nil
  end
  local identity, correlation, key = unpack(last)
  return {
    position = position,
    id = found[1],
    waitpoint = found[2],
    name = found[3],
    category = found[4],
    source = found[5],
    encoding = found[6],
    accepted_at = found[7],
    created_at = found[8],
    effect = found[9],
    digest = found[10],
    identity = identity,
    correlation = correlation,
    key = key,
  }
end

local function write(signal)
  local created_at = signal.created_at
  return table.concat({
    signal.id,
    signal.waitpoint,
    signal.name,
    signal.category,
    signal.source,
    signal.encoding,
    string.format("%.0f", signal.accepted_at),
    created_at and created_at ~= "," and string.format("%.0f", created_at) or ",",
    signal.effect,
    signal.digest,
    sized(signal.identity) .. sized(signal.correlation) .. sized(signal.key),
  }, " ")
end

local function field(position)
  return string.format("%.0f", position)
end

function signals.load(x, position)
  local key = keys.signals(x.id)
  local record = redis.call("HGET", key, field(position))
  if not record then
    return nil
  end
  return read(position, record) or corruption.tell(key, field(position), "does not parse")
end

-- The signal that was accepted under this id, or under this key at this waitpoint.
function signals.find(x, id, waitpoint, key)
  local names = { "i" .. id }
  if key then
    names[2] = "k" .. waitpoint .. " " .. key
  end
  local found = redis.call("HMGET", keys.signals(x.id), unpack(names))
  local position = found[2] or found[1]
  if not position then
    return nil
  end
  local key_of_all = keys.signals(x.id)
  position = corruption.number(key_of_all, found[2] and names[2] or names[1], position)
  local signal = signals.load(x, position)
    or corruption.tell(key_of_all, field(position), "is missing")
  signal.by_key = found[2] and true or false
  return signal
end

-- How many signals the execution ever accepted.
function signals.count(x)
  local key = keys.signals(x.id)
  return corruption.number(key, "count", redis.call("HGET", key, "count") or "0")
end

-- Stores what is known of a signal that was stored before.
function signals.save(x, signal)
  redis.call("HSET", keys.signals(x.id), field(signal.position), write(signal))
end

-- Stores a signal at its position, which is the next one, with what finds it again.
function signals.append(x, signal, payload)
  local key, position = keys.signals(x.id), field(signal.position)
  local values = { "count", position, position, write(signal), "i" .. signal.id, position }
  if signal.key ~= "" then
    values[#values + 1] = "k" .. signal.waitpoint .. " " .. signal.key
    values[#values + 1] = position
  end
  if payload then
    values[#values + 1] = "p" .. position
    values[#values + 1] = payload
  end
  redis.call("HSET", key, unpack(values))
end

local function sender_field(signal)
  return "r" .. #signal.source .. ":" .. signal.source .. signal.identity
end

-- How often a sender sent in its current window, and when that began.
function signals.sent(x, signal, now_ms, window_ms)
  local stored = redis.call("HGET", keys.signals(x.id), sender_field(signal))
  local began, sent = (stored or ""):match("^(%d+) (%d+)$")
  if stored and began == nil then
    corruption.tell(keys.signals(x.id), sender_field(signal), "does not parse")
  end
  began = tonumber(began)
  if began == nil or now_ms < began or now_ms >= began + window_ms then
    return 0, now_ms
  end
  return tonumber(sent), began
end

function signals.note_sent(x, signal, sent, began)
  local text = string.format("%.0f %.0f", began, sent)
  redis.call("HSET", keys.signals(x.id), sender_field(signal), text)
end

-- What operators allow senders.
function signals.policy()
  local names = {}
  for name in pairs(limits.signal_policy) do
    names[#names + 1] = name
  end
  local found, policy = redis.call("HMGET", keys.config(), unpack(names)), {}
  for position, name in ipairs(names) do
    local allowed = found[position]
    policy[name] = allowed and corruption.number(keys.config(), name, allowed)
      or limits.signal_policy[name]
  end
  return policy
end

-- A signal as readers get it, in the order of the declared row; one that does not parse has its
-- position alone, for the reader to tell.
local function row(position, record, payload, left_out)
  local signal = record and read(position, record)
  if not signal then
    return { field(position), false }
  end
  return {
    field(position),
    signal.id,
    signal.waitpoint,
    signal.name,
    signal.category,
    signal.source,
    signal.encoding,
    signal.accepted_at,
    signal.created_at ~= "," and signal.created_at,
    signal.effect,
    signal.identity,
    signal.correlation,
    signal.key,
    payload,
    left_out,
  }
end

-- The signals at these positions. Once a page is full of payloads the others are left out, for the
-- reader to ask for; or the rows end there.
function signals.rows(x, positions, ends)
  local rows, bytes, key = {}, 0, keys.signals(x.id)
  for place, position in ipairs(positions) do
    local name = field(position)
    if bytes < limits.page_bytes then
      local found = redis.call("HMGET", key, name, "p" .. name)
      bytes = bytes + (found[2] and #found[2] or 0)
      rows[place] = row(position, found[1], found[2], 0)
    elseif ends then
      return rows
    else
      local left_out = redis.call("HEXISTS", key, "p" .. name)
      rows[place] = row(position, redis.call("HGET", key, name), false, left_out)
    end
  end
  return rows
end

return signals
