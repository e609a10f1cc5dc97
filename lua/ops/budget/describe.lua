-- Read all that is known of a budget, after what is due has happened to it.
local budgets = require("lib.budgets")
local op = require("lib.op")

return op.define({
  name = "budget.describe",
  events = {},
  args = { "budget:budget_id" },
  returns = { found = { "fields:map" }, absent = {} },
  run = function(arg, now_ms)
    local b = budgets.load(arg.budget, now_ms)
    if b == nil then
      return op.outcome("absent")
    end
    return op.outcome("found", { fields = redis.call("HGETALL", b.key) })
  end,
})
