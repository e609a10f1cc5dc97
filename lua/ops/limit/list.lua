-- Read the limits that this partition knows.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "limit.list",
  events = {},
  reads = true,
  args = {},
  returns = { listed = { "limits:map" } },
  run = function()
    return op.outcome("listed", { limits = redis.call("HGETALL", keys.limits()) })
  end,
})
