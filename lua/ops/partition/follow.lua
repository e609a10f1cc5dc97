-- Read what happened from a place of the feed on; if nothing did, the next event is announced.
local feed = require("lib.feed")
local op = require("lib.op")

return op.define({
  name = "partition.follow",
  events = {},
  args = { "place:feed_offset" },
  returns = { events = { "from:int", "text:bytes", "missed:flag", "more:flag" } },
  run = function(arg)
    local found = feed.read(arg.place)
    if found.text == "" then
      feed.follow()
    end
    return op.outcome("events", found)
  end,
})
