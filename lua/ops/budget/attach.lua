-- Have a budget tell a partition from now on what work there has to know; answers what it is now.
local budgets = require("lib.budgets")
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "budget.attach",
  events = {},
  args = { "budget:budget_id", "partition:partition" },
  returns = { attached = { "version:int", "action:text?" } },
  run = function(arg, now_ms)
    local b, refusal = budgets.load(arg.budget, now_ms)
    if b == nil then
      return refusal
    end
    local version = b.f.version or "0"
    redis.call("HSETNX", keys.told(b.id), string.format("%.0f", arg.partition), version)
    return op.outcome("attached", { version = version, action = b.f.mark })
  end,
})
