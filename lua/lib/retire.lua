-- Forgets ended flows with everything of theirs, a bounded part at a time.
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local limits = require("generated.limits")
local pending = require("lib.pending")
local purge = require("lib.purge")
local record = require("lib.record")

local retire = {}

-- Removes some members, then the flow itself. Returns how many members went and whether all did.
function retire.remove(id, by)
  pending.flush()
  local key = keys.members(id)
  local found = redis.call("ZRANGE", key, 0, limits.graph_chunk - 1)
  for _, member in ipairs(found) do
    purge.remove(record.load(member), by)
    redis.call("ZREM", key, member)
  end
  if #found == limits.graph_chunk then
    -- What is left of it cannot run again: it would wait for what is gone.
    local _, h = pcall(hashes.open, keys.flow(id))
    if h.f ~= nil then
      hashes.set(h, "retiring", 1)
    end
    return #found, false
  end
  hashes.remove(keys.flow(id))
  redis.call("DEL", keys.flow_tags(id))
  pending.remove_row(keys.flows(), id)
  pending.remove_row(keys.flow_ends(), id)
  return #found, true
end

-- Removes flows whose retention is over. Returns how many members went.
function retire.due(now_ms, count)
  local gone = 0
  while gone < count do
    pending.flush()
    local until_ms = string.format("%.0f", now_ms)
    local id = redis.call("ZRANGEBYSCORE", keys.flow_ends(), "-inf", until_ms, "LIMIT", 0, 1)[1]
    if id == nil then
      break
    end
    local members = retire.remove(id, "clock")
    gone = gone + math.max(1, members)
  end
  return gone
end

function retire.next_at()
  pending.flush()
  return tonumber(redis.call("ZRANGE", keys.flow_ends(), 0, 0, "WITHSCORES")[2])
end

return retire
