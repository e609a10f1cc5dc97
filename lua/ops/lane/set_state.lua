-- Open, pause or drain a lane in this partition.
local lanes = require("lib.lanes")
local op = require("lib.op")
local wake = require("lib.wake")

return op.define({
  name = "lane.set_state",
  events = {},
  args = { "lane:word", "state:lane_state" },
  returns = { changed = { "from:text?" } },
  run = function(arg, now_ms)
    local from = lanes.state(arg.lane)
    if from ~= arg.state then
      lanes.set(arg.lane, arg.state)
    end
    if from == "paused" and arg.state ~= "paused" then
      wake.lane(arg.lane, now_ms)
    end
    return op.outcome("changed", { from = from })
  end,
})
