-- Index writes of one server call, gathered so that a batch costs one command per index.
--
-- Whoever reads an index flushes first; the call flushes at its end.
local bulk = require("lib.bulk")

local pending = {}

-- key → member → score, or false to remove it; for hashes field → value, or false.
local rows, fields

function pending.begin()
  rows, fields = {}, {}
end

local function gather(by_key, key, name, value)
  local entries = by_key[key]
  if entries == nil then
    entries = {}
    by_key[key] = entries
  end
  -- The last word on a row wins, whatever was gathered before.
  entries[name] = value
end

function pending.add_row(key, member, score)
  gather(rows, key, member, score)
end

function pending.remove_row(key, member)
  gather(rows, key, member, false)
end

function pending.set_field(key, name, value)
  gather(fields, key, name, value)
end

function pending.remove_field(key, name)
  gather(fields, key, name, false)
end

local function flush_key(key, entries, set, unset, score_first)
  local added, removed, adds, removes = {}, {}, 0, 0
  for name, value in pairs(entries) do
    if value == false then
      removes = removes + 1
      removed[removes] = name
    else
      added[adds + 1] = score_first and value or name
      added[adds + 2] = score_first and name or value
      adds = adds + 2
    end
  end
  if adds > 0 then
    bulk.send(set, key, added, adds)
  end
  if removes > 0 then
    bulk.send(unset, key, removed, removes)
  end
end

function pending.flush()
  for key, entries in pairs(rows) do
    flush_key(key, entries, "ZADD", "ZREM", true)
    rows[key] = nil
  end
  for key, entries in pairs(fields) do
    flush_key(key, entries, "HSET", "HDEL", false)
    fields[key] = nil
  end
end

return pending
