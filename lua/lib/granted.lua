-- Finds the leases that an earlier, equal claim was given.
local digits = require("lib.digits")
local due = require("lib.due")
local keys = require("lib.keys")
local lease = require("lib.lease")
local pending = require("lib.pending")
local record = require("lib.record")

local granted = {}

-- The leases of one claim that are still held, as rows for their holder.
function granted.rows(lease_id, count, now_ms)
  pending.flush()
  local names = {}
  for position = 1, count do
    names[position] = lease_id .. "." .. digits.of(position)
  end
  local found = {}
  for position, id in ipairs(redis.call("HMGET", keys.leases(), unpack(names))) do
    local x = id and record.load(id)
    if x and not due.apply(x, now_ms) and x.f.lease_id == names[position] then
      found[#found + 1] = lease.claimed_row(x, count)
    end
  end
  return found
end

return granted
