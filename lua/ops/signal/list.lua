-- Read one page of an execution's accepted signals, in the order of their acceptance.
local op = require("lib.op")
local record = require("lib.record")
local signals = require("lib.signals")

return op.define({
  name = "signal.list",
  events = {},
  reads = true,
  args = { "id:id", "after:position", "count:page_count" },
  returns = { listed = { "signals:signal", "more:flag" }, absent = {} },
  run = function(arg)
    if not record.exists(arg.id) then
      return op.outcome("absent")
    end
    local last, positions = signals.count(arg), {}
    for position = arg.after + 1, math.min(arg.after + arg.count, last) do
      positions[#positions + 1] = position
    end
    local rows = signals.rows(arg, positions, true)
    return op.outcome("listed", { signals = rows, more = arg.after + #rows < last })
  end,
})
