-- Say how much work of a limit may run at once, and how much of it may begin within a time.
local admission = require("lib.admission")
local keys = require("lib.keys")
local limit = require("lib.limit")
local op = require("lib.op")

return op.define({
  name = "limit.set",
  events = { "admit" },
  args = {
    "limit:word",
    "slots:slot_count",
    "starts:start_count",
    "window_ms:window_ms",
    "per_key:flag",
    "partitions:partition_count",
  },
  returns = { set = {} },
  run = function(arg, now_ms)
    local text = string.format(
      "%.0f %.0f %.0f %s %.0f",
      arg.slots,
      arg.starts,
      arg.window_ms,
      arg.per_key and "1" or "0",
      arg.partitions
    )
    if redis.call("HGET", keys.limits(), arg.limit) ~= text then
      redis.call("HSET", keys.limits(), arg.limit, text)
      limit.forget(arg.limit)
      admission.reconsider_all(arg.limit, now_ms)
    end
    return op.outcome("set")
  end,
})
