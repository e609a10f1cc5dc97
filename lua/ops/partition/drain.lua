-- Do work that earlier calls have left for later.
local backlog = require("lib.backlog")
local op = require("lib.op")

return op.define({
  name = "partition.drain",
  events = {},
  args = { "count:sweep_count", "again:flag" },
  returns = { drained = { "done:int", "left:int", "stuck:int", "why:text?" } },
  run = function(arg, now_ms)
    if arg.again then
      backlog.retry(arg.count)
    end
    local done = backlog.drain(now_ms, arg.count)
    local left, stuck, why = backlog.size()
    return op.outcome("drained", { done = done, left = left, stuck = stuck, why = why })
  end,
})
