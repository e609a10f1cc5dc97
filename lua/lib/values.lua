-- The string keys that one server call works on: read and written with one command each.
--
-- What an operation writes here counts for the later ones of its call at once; the server has it
-- when the call ends. Lists, hashes and sets do not pass through here, nor do large inputs.
local bulk = require("lib.bulk")

local values = {}

-- key → its value as this call sees it; false when there is none.
local known
-- Keys and values as they were written, in order, so that the last one counts; what was removed.
local written, writes
local removed, removes

function values.begin()
  known, written, writes, removed, removes = {}, {}, 0, {}, 0
end

-- Returns false when there is none.
function values.read(key)
  local value = known[key]
  if value == nil then
    value = redis.call("GET", key)
    known[key] = value
  end
  return value
end

-- Reads those of the first `count` keys that are not known yet, with one command.
function values.prefetch(names, count)
  local wanted, wants = {}, 0
  for position = 1, math.min(count, bulk.values_max) do
    local key = names[position]
    if known[key] == nil then
      wants = wants + 1
      wanted[wants] = key
    end
  end
  if wants > 0 then
    local found = redis.call("MGET", unpack(wanted, 1, wants))
    for position = 1, wants do
      known[wanted[position]] = found[position]
    end
  end
end

function values.write(key, value)
  known[key] = value
  written[writes + 1], written[writes + 2] = key, value
  writes = writes + 2
end

function values.remove(key)
  known[key] = false
  removes = removes + 1
  removed[removes] = key
end

function values.flush()
  bulk.send_keys("MSET", written, writes)
  local gone, count = {}, 0
  for position = 1, removes do
    local key = removed[position]
    -- It may have been written again.
    if known[key] == false then
      count = count + 1
      gone[count] = key
    end
  end
  bulk.send_keys("DEL", gone, count)
end

return values
