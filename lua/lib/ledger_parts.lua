-- The two parts of a budget's ledger, which take turns so that no row stays for ever.
--
-- Rows are written to the current part, also those that are found in the earlier one. When it has
-- been written to for long enough, the parts change places, and what the new one held is gone: all
-- rows stay for that long after their last report, and for twice as long at most. The greatest
-- number of a report that went with them is the floor: whatever is no greater was reported before.
local fields = require("lib.fields")
local keys = require("lib.keys")
local limits = require("generated.limits")

local ledger_parts = {}

local function current(b)
  return fields.number(b, "ledger_part") or 0
end

-- The keys of the part that is written to, and of the earlier one.
function ledger_parts.keys(b)
  local part = current(b)
  return keys.ledger(b.id, part), keys.ledger(b.id, 1 - part)
end

-- The greatest number of all reports whose rows are gone.
function ledger_parts.floor(b)
  return fields.number(b, "ledger_floor") or 0
end

-- Notes that the current part now holds reports up to that number.
function ledger_parts.wrote(b, newest, now_ms)
  fields.set(b, "ledger_newest", math.max(fields.number(b, "ledger_newest") or 0, newest))
  if b.f.ledger_turn_at == nil then
    fields.set(b, "ledger_turn_at", now_ms + limits.ledger_keep_ms)
  end
end

-- Lets the parts change places if it is time. Returns whether it was; the caller commits.
function ledger_parts.turn(b, now_ms)
  local at_ms = fields.number(b, "ledger_turn_at")
  if at_ms == nil or at_ms > now_ms then
    return false
  end
  local _, earlier = ledger_parts.keys(b)
  redis.call("UNLINK", earlier)
  fields.set(b, "ledger_part", current(b) == 0 and 1 or nil)
  local gone = fields.number(b, "ledger_earlier") or 0
  if gone > ledger_parts.floor(b) then
    fields.set(b, "ledger_floor", gone)
  end
  local left = fields.number(b, "ledger_newest")
  fields.set(b, "ledger_earlier", left)
  fields.set(b, "ledger_newest", nil)
  fields.set(b, "ledger_turn_at", left and now_ms + limits.ledger_keep_ms or nil)
  return true
end

return ledger_parts
