-- Read the lanes that this partition knows, with their states.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "lane.list",
  events = {},
  reads = true,
  args = {},
  returns = { listed = { "lanes:map" } },
  run = function()
    return op.outcome("listed", { lanes = redis.call("HGETALL", keys.lanes()) })
  end,
})
