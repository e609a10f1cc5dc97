-- Read one page of the partition's flows, in the order of their ids.
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local listing = require("lib.listing")
local op = require("lib.op")

return op.define({
  name = "flow.list",
  events = {},
  reads = true,
  args = { "after:id?", "count:page_count" },
  returns = { listed = { "flows:flow", "more:flag" } },
  run = function(arg)
    hashes.flush()
    local ids, more = listing.page(keys.flows(), arg.after, arg.count)
    local rows = {}
    for position, id in ipairs(ids) do
      local found = redis.call("HMGET", keys.flow(id), "created_at", "state")
      rows[position] = { id, found[1], found[2] }
    end
    return op.outcome("listed", { flows = rows, more = more })
  end,
})
