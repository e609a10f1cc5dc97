-- Forget a budget with all that it counted; one that is gone already is no surprise.
local budgets = require("lib.budgets")
local op = require("lib.op")

return op.define({
  name = "budget.remove",
  events = {},
  args = { "budget:budget_id" },
  returns = { removed = { "untold:flag" }, absent = {} },
  run = function(arg, now_ms)
    local b = budgets.load(arg.budget, now_ms)
    if b == nil then
      return op.outcome("absent")
    end
    budgets.remove(b, now_ms)
    return op.outcome("removed", { untold = b.f.untold ~= nil })
  end,
})
