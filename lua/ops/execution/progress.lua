-- Overwrite how far the attempt says it is; what is not given stays.
local fence = require("lib.fence")
local keys = require("lib.keys")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")
local values = require("lib.values")

return op.define({
  name = "execution.progress",
  events = { "progress" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "percent:percent?",
    "note:text?",
  },
  returns = { progressed = {} },
  run = function(arg, now_ms)
    local x, answer = fence.check(arg, now_ms)
    if x == nil then
      return answer
    end
    transition.apply(x, "progress", {})
    if arg.percent then
      record.set(x, "progress", arg.percent)
    end
    if arg.note then
      record.set(x, "noted", 1)
      values.write(keys.note(x.id), arg.note)
    end
    transition.commit(x, now_ms)
    return op.outcome("progressed")
  end,
})
