-- Read one page of the partition's flows, in the order of their ids.
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")

return op.define({
  name = "flow.list",
  events = {},
  reads = true,
  args = { "after:id?", "count:page_count" },
  returns = { listed = { "flows:flow", "more:flag" } },
  run = function(arg)
    hashes.flush()
    pending.flush()
    local rows = {}
    local from = arg.after and "(" .. arg.after or "-"
    local ids = arg.count > 0
        and redis.call("ZRANGE", keys.flows(), from, "+", "BYLEX", "LIMIT", 0, arg.count + 1)
      or {}
    for position = 1, math.min(#ids, arg.count) do
      local found = redis.call("HMGET", keys.flow(ids[position]), "created_at", "state")
      rows[position] = { ids[position], found[1], found[2] }
    end
    return op.outcome("listed", { flows = rows, more = #ids > arg.count })
  end,
})
