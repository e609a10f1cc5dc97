-- Read one page of an execution's accepted signals, in the order of their acceptance.
local keys = require("lib.keys")
local op = require("lib.op")
local signals = require("lib.signals")

return op.define({
  name = "signal.list",
  events = {},
  reads = true,
  args = { "id:id", "after:position", "count:page_count" },
  returns = { listed = { "signals:signal", "more:flag" }, absent = {} },
  run = function(arg)
    if redis.call("EXISTS", keys.execution(arg.id)) == 0 then
      return op.outcome("absent")
    end
    local last, rows = signals.count(arg), {}
    local upto = math.min(arg.after + arg.count, last)
    for position = arg.after + 1, upto do
      rows[#rows + 1] = signals.row(arg, position)
    end
    return op.outcome("listed", { signals = rows, more = upto < last })
  end,
})
