-- Find the leases that a claim with this id already has in this partition.
local granted = require("lib.granted")
local op = require("lib.op")

return op.define({
  name = "lease.find",
  events = {},
  args = { "lease_id:lease_stem", "count:claim_count" },
  returns = { found = { "rows:claimed" } },
  run = function(arg, now_ms)
    return op.outcome("found", { rows = granted.rows(arg.lease_id, arg.count, now_ms) })
  end,
})
