-- Read one page of this partition's execution ids, in byte order after a cursor.
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")

return op.define({
  name = "partition.list",
  events = {},
  reads = true,
  args = { "after:id?", "count:page_count" },
  returns = { listed = { "ids:list", "more:flag" } },
  run = function(arg)
    if arg.count == 0 then
      return op.outcome("listed", { ids = {}, more = false })
    end
    pending.flush()
    local from = arg.after and "(" .. arg.after or "-"
    local ids =
      redis.call("ZRANGE", keys.executions(), from, "+", "BYLEX", "LIMIT", 0, arg.count + 1)
    local more = #ids > arg.count
    if more then
      ids[#ids] = nil
    end
    return op.outcome("listed", { ids = ids, more = more })
  end,
})
