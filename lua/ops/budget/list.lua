-- Read one page of this partition's budget ids, in byte order after a cursor.
local keys = require("lib.keys")
local listing = require("lib.listing")
local op = require("lib.op")

return op.define({
  name = "budget.list",
  events = {},
  reads = true,
  args = { "after:budget_id?", "count:page_count" },
  returns = { listed = { "ids:list", "more:flag" } },
  run = function(arg)
    local ids, more = listing.page(keys.budgets(), arg.after, arg.count)
    return op.outcome("listed", { ids = ids, more = more })
  end,
})
