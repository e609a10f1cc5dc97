-- Work that budgets keep back: for each budget who waits for it, the oldest first.
local keys = require("lib.keys")
local pending = require("lib.pending")

local waiters = {}

-- Whichever of its budgets has room again first: the next claim looks at all of them anew.
function waiters.enter(x)
  for budget in x.f.budgets:gmatch("[^,]+") do
    pending.add_row(keys.budget_waiters(budget), x.id, tonumber(x.f.created_at))
  end
end

function waiters.leave(x)
  for budget in x.f.budgets:gmatch("[^,]+") do
    pending.remove_row(keys.budget_waiters(budget), x.id)
  end
end

return waiters
