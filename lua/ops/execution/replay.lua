-- Run an ended execution again; epochs and attempts go on counting.
local op = require("lib.op")
local replay = require("lib.replay")

return op.define({
  name = "execution.replay",
  events = { "replay" },
  args = { "id:id", "replay_id:lease_stem", "reopen:flag" },
  returns = { replayed = { "state:text", "replays:int", "repeated:flag" } },
  run = function(arg, now_ms)
    return replay.run(arg, "take_back", now_ms)
  end,
})
