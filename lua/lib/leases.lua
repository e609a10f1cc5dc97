-- The live leases of each claim: a hash for a claim, from a lease's number in it to the execution.
--
-- Leases that come from one claim begin and mostly end together, so that they cost one command each
-- way, and a claim that is new finds out with one look that it is.
local keys = require("lib.keys")
local pending = require("lib.pending")

local leases = {}

local latest_claim, latest_key

local function key_of(claim)
  if claim ~= latest_claim then
    latest_claim, latest_key = claim, keys.leases(claim)
  end
  return latest_key
end

function leases.begin()
  latest_claim, latest_key = nil, nil
end

-- A lease id is its claim's id, a dot and its number.
function leases.enter(claim, lease_id, id)
  pending.set_field(key_of(claim), lease_id:sub(#claim + 2), id)
end

function leases.leave(lease_id)
  local claim, number = lease_id:match("^(.*)%.(%d+)$")
  pending.remove_field(key_of(claim or lease_id), number or "")
end

-- The executions under live leases of a claim, by their numbers; nil when it has none.
function leases.of(claim)
  pending.flush()
  local flat = redis.call("HGETALL", keys.leases(claim))
  if #flat == 0 then
    return nil
  end
  local held = {}
  for position = 1, #flat, 2 do
    held[flat[position]] = flat[position + 1]
  end
  return held
end

return leases
