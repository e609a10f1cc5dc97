-- The gates that decide whether work may run now, as the facts of the placement rule.
local record = require("lib.record")

local gates = {}

local not_due = { parked = "notDueParked", retry = "notDueRetry", start = "notDueStart" }

local function wait_kind(x)
  if x.f.parked ~= nil then
    return "parked"
  end
  return x.f.attempt ~= nil and "retry" or "start"
end

-- Facts for placing the execution; a time that has come is forgotten here.
function gates.facts(x, now_ms)
  local facts = {
    heldByDependencies = x.f.deps ~= nil,
    heldByOperator = x.f.block_reason ~= nil,
    parked = x.f.parked ~= nil,
  }
  local not_before = record.number(x, "not_before")
  if not_before ~= nil then
    if not_before > now_ms then
      facts[not_due[wait_kind(x)]] = true
    elseif not facts.heldByOperator then
      record.set(x, "not_before", nil)
    end
  end
  return facts
end

return gates
