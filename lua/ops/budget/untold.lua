-- Read which partitions have yet to hear what became of this partition's budgets.
local budgets = require("lib.budgets")
local op = require("lib.op")

return op.define({
  name = "budget.untold",
  events = {},
  reads = true,
  args = { "count:page_count" },
  returns = { listed = { "news:news" } },
  run = function(arg)
    return op.outcome("listed", { news = budgets.news(arg.count) })
  end,
})
