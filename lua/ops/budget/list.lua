-- Read one page of this partition's budget ids, in byte order after a cursor.
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")

return op.define({
  name = "budget.list",
  events = {},
  reads = true,
  args = { "after:budget_id?", "count:page_count" },
  returns = { listed = { "ids:list", "more:flag" } },
  run = function(arg)
    if arg.count == 0 then
      return op.outcome("listed", { ids = {}, more = false })
    end
    pending.flush()
    local from = arg.after and "(" .. arg.after or "-"
    local ids = redis.call("ZRANGE", keys.budgets(), from, "+", "BYLEX", "LIMIT", 0, arg.count + 1)
    local more = #ids > arg.count
    if more then
      ids[#ids] = nil
    end
    return op.outcome("listed", { ids = ids, more = more })
  end,
})
