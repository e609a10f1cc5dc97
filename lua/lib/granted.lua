-- Finds the leases that an earlier, equal claim was given.
local claimed = require("lib.claimed")
local digits = require("lib.digits")
local due = require("lib.due")
local lease = require("lib.lease")
local leases = require("lib.leases")
local record = require("lib.record")

local granted = {}

-- The leases of one claim that are still held, as rows for their holder.
function granted.rows(lease_id, count, now_ms)
  local held, found = leases.of(lease_id), claimed.rows()
  for position = 1, held and count or 0 do
    local number = digits.of(position)
    local x = held[number] and record.load(held[number])
    if x and not due.apply(x, now_ms) and x.f.lease_id == lease_id .. "." .. number then
      lease.hand_out(found, x, count)
    end
  end
  return found
end

return granted
