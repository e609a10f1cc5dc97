-- End the execution well, with the result that its worker hands in.
local fence = require("lib.fence")
local finish = require("lib.finish")
local op = require("lib.op")
local plain = require("lib.plain")
local transition = require("lib.transition")

local completed = op.outcome("completed", { replayed = false })

return op.define({
  name = "execution.complete",
  events = { "complete" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "digest:digest",
    "result:input?",
  },
  returns = { completed = { "replayed:flag" } },
  quick = function(...)
    return plain.complete(...) and completed
  end,
  run = function(arg, now_ms)
    local x, answer = fence.check_settle("complete", arg, now_ms, function()
      return op.outcome("completed", { replayed = true })
    end)
    if x == nil then
      return answer
    end
    transition.apply(x, "complete", {})
    fence.settle(x, "complete", arg.digest)
    finish.commit(x, nil, arg.result or nil, now_ms)
    return completed
  end,
})
