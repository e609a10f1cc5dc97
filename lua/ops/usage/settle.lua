-- Remember what a budget answered to a logged report; without a result the budget refused it.
local op = require("lib.op")
local usage = require("lib.usage")

return op.define({
  name = "usage.settle",
  events = {},
  args = { "id:id", "seq:usage_seq", "result:usage_result?" },
  returns = { settled = { "replayed:flag" } },
  run = function(arg)
    return op.outcome("settled", { replayed = not usage.settle(arg.id, arg.seq, arg.result) })
  end,
})
