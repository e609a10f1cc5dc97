-- Read one page of this partition's execution ids, in byte order after a cursor.
local keys = require("lib.keys")
local listing = require("lib.listing")
local op = require("lib.op")

return op.define({
  name = "partition.list",
  events = {},
  reads = true,
  args = { "after:id?", "count:page_count" },
  returns = { listed = { "ids:list", "more:flag" } },
  run = function(arg)
    local ids, more = listing.page(keys.executions(), arg.after, arg.count)
    return op.outcome("listed", { ids = ids, more = more })
  end,
})
