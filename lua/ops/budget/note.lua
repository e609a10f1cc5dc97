-- Let a partition know whether a budget is used up: its work is kept back, or let go.
local exhaustion = require("lib.exhaustion")
local limits = require("generated.limits")
local op = require("lib.op")

return op.define({
  name = "budget.note",
  events = { "admit" },
  args = { "budget:budget_id", "version:budget_version", "action:hard_limit_action?" },
  returns = { noted = { "version:int", "replayed:flag" } },
  run = function(arg, now_ms)
    local action = arg.action or nil
    local count = limits.admitted_per_call
    local version, is_news = exhaustion.note(arg.budget, arg.version, action, now_ms, count)
    return op.outcome("noted", { version = version, replayed = not is_news })
  end,
})
