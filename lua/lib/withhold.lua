-- Keeping claimable work back until something has room for it, and letting it go again.
local gates = require("lib.gates")
local record = require("lib.record")
local transition = require("lib.transition")

local withhold = {}

-- Keeps claimable work back. `reason` is one word and one of the sources of events: who has no
-- room for it, and will let it go.
function withhold.apply(x, reason, now_ms)
  transition.apply(x, "withhold", {})
  record.set(x, "withheld", reason)
  x.by = reason
  transition.commit(x, now_ms)
end

-- Lets withheld work go, to where its other gates place it.
function withhold.admit(x, now_ms)
  x.by = x.f.withheld
  record.set(x, "withheld", nil)
  transition.apply(x, "admit", gates.facts(x, now_ms))
  transition.commit(x, now_ms)
end

return withhold
