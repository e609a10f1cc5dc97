-- Read what happened from a place of the feed on, or where the feed ends now.
local feed = require("lib.feed")
local op = require("lib.op")

return op.define({
  name = "partition.events",
  events = {},
  reads = true,
  args = { "place:feed_offset?" },
  returns = { events = { "from:int", "text:bytes", "missed:flag", "more:flag" } },
  run = function(arg)
    return op.outcome("events", feed.read(arg.place))
  end,
})
