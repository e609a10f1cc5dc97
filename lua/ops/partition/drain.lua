-- Do work that earlier calls have left for later.
local backlog = require("lib.backlog")
local op = require("lib.op")

return op.define({
  name = "partition.drain",
  events = {},
  args = { "count:sweep_count" },
  returns = { drained = { "done:int", "left:int", "stuck:int" } },
  run = function(arg, now_ms)
    local done = backlog.drain(now_ms, arg.count)
    local left, stuck = backlog.size()
    return op.outcome("drained", { done = done, left = left, stuck = stuck })
  end,
})
