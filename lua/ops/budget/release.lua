-- Take back what an execution used of a budget since its last reset.
local budgets = require("lib.budgets")
local ledger = require("lib.ledger")
local op = require("lib.op")

return op.define({
  name = "budget.release",
  events = {},
  args = { "budget:budget_id", "execution:execution" },
  returns = { released = { "amounts:text", "untold:flag" } },
  run = function(arg, now_ms)
    local b, refusal = budgets.load(arg.budget, now_ms)
    if b == nil then
      return refusal
    end
    local released = ledger.release(b, arg.execution, now_ms)
    return op.outcome("released", { amounts = released, untold = b.f.untold ~= nil })
  end,
})
