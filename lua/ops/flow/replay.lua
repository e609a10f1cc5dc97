-- Run a member again, and with it all that was given up because of it; its flow is open again.
local op = require("lib.op")
local replay = require("lib.replay")

return op.define({
  name = "flow.replay",
  events = { "replay" },
  args = { "id:id", "replay_id:lease_stem" },
  returns = { replayed = { "state:text", "replays:int", "repeated:flag" } },
  run = function(arg, now_ms)
    return replay.run(arg, "rerun", now_ms)
  end,
})
