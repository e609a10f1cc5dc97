-- Set the limits of some dimensions of a budget, or what happens at its hard limits.
local budgets = require("lib.budgets")
local op = require("lib.op")
local fields = require("lib.fields")

return op.define({
  name = "budget.change",
  events = {},
  args = {
    "budget:budget_id",
    "dimensions:dimension_limits",
    "on_hard:hard_limit_action?",
  },
  returns = { changed = { "untold:flag" } },
  run = function(arg, now_ms)
    local b, refusal = budgets.load(arg.budget, now_ms)
    if b == nil then
      return refusal
    end
    refusal = budgets.crowded(b, arg.dimensions)
    if refusal then
      return refusal
    end
    budgets.limit(b, arg.dimensions)
    if arg.on_hard then
      fields.set(b, "on_hard", arg.on_hard)
    end
    budgets.commit(b, now_ms)
    return op.outcome("changed", { untold = b.f.untold ~= nil })
  end,
})
