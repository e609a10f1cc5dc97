-- Begin a new generation of a budget before its schedule does, which stays as it is.
local budgets = require("lib.budgets")
local op = require("lib.op")
local fields = require("lib.fields")

return op.define({
  name = "budget.reset",
  events = {},
  args = { "budget:budget_id", "reset_id:word" },
  returns = { reset = { "generation:int", "next_reset_at:int?", "replayed:flag", "untold:flag" } },
  run = function(arg, now_ms)
    local b, refusal = budgets.load(arg.budget, now_ms)
    if b == nil then
      return refusal
    end
    local replayed = b.f.reset_id == arg.reset_id
    if not replayed then
      budgets.reset(b, now_ms)
      fields.set(b, "reset_id", arg.reset_id)
      budgets.commit(b, now_ms)
    end
    return op.outcome("reset", {
      generation = fields.number(b, "generation"),
      next_reset_at = fields.number(b, "next_reset_at"),
      replayed = replayed,
      untold = b.f.untold ~= nil,
    })
  end,
})
