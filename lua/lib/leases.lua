-- The live leases of each claim: a hash for a claim, from a lease's number in it to the execution.
--
-- Leases that come from one claim begin and mostly end together, so that they cost one command each
-- way, and a claim that is new finds out with one look that it is.
local keys = require("lib.keys")
local pending = require("lib.pending")

local leases = {}

local latest_claim, latest_key

-- Returns the hash and the field; a lease id is its claim's id, a dot and its number.
local function place_of(lease_id)
  local claim, number = lease_id:match("^(.*)%.(%d+)$")
  claim = claim or lease_id
  if claim ~= latest_claim then
    latest_claim, latest_key = claim, keys.leases(claim)
  end
  return latest_key, number or ""
end

function leases.begin()
  latest_claim, latest_key = nil, nil
end

function leases.enter(lease_id, id)
  local key, number = place_of(lease_id)
  pending.set_field(key, number, id)
end

function leases.leave(lease_id)
  local key, number = place_of(lease_id)
  pending.remove_field(key, number)
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
