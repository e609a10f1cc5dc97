-- Open, pause or drain a lane in this partition.
local keys = require("lib.keys")
local op = require("lib.op")
local wake = require("lib.wake")

return op.define({
  name = "lane.set_state",
  events = {},
  args = { "lane:word", "state:lane_state" },
  returns = { changed = { "from:text?" } },
  run = function(arg, now_ms)
    local from = redis.call("HGET", keys.lanes(), arg.lane)
    if from ~= arg.state then
      redis.call("HSET", keys.lanes(), arg.lane, arg.state)
    end
    if from == "paused" then
      wake.lane(arg.lane, now_ms)
    end
    return op.outcome("changed", { from = from })
  end,
})
