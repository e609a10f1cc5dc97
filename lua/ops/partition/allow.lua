-- Set what senders of signals may do in this partition; what is not given stays.
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")
local signals = require("lib.signals")

return op.define({
  name = "partition.allow",
  events = {},
  args = {
    "signals_per_execution:allowance?",
    "signals_per_suspension:allowance?",
    "signals_per_sender:allowance?",
    "sender_window_ms:allowance_ms?",
  },
  returns = {
    allowed = {
      "signals_per_execution:int",
      "signals_per_suspension:int",
      "signals_per_sender:int",
      "sender_window_ms:int",
    },
  },
  run = function(arg)
    for name in pairs(limits.signal_policy) do
      if arg[name] then
        redis.call("HSET", keys.config(), name, string.format("%.0f", arg[name]))
      end
    end
    return op.outcome("allowed", signals.policy())
  end,
})
