-- Remember that a partition heard of a version; should it know a newer one, go on after that.
local budgets = require("lib.budgets")
local op = require("lib.op")

return op.define({
  name = "budget.told",
  events = {},
  args = { "budget:budget_id", "partition:partition", "version:budget_version" },
  returns = { told = {} },
  run = function(arg, now_ms)
    budgets.told(arg.budget, arg.partition, arg.version, now_ms)
    return op.outcome("told")
  end,
})
