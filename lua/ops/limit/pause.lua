-- Let nothing of a limit, or of one of its keys, begin before a time; a time that has come ends it.
local keys = require("lib.keys")
local limit = require("lib.limit")
local limits = require("generated.limits")
local op = require("lib.op")
local pending = require("lib.pending")
local slots = require("lib.slots")

return op.define({
  name = "limit.pause",
  events = { "admit" },
  args = { "limit:word", "key:word?", "until_ms:ms?", "for_ms:span_ms?" },
  returns = { paused = {} },
  run = function(arg, now_ms)
    if not limit.definition(arg.limit) then
      return op.refuse("limit_not_found", { limit = arg.limit })
    end
    local until_ms = arg.for_ms and now_ms + arg.for_ms or arg.until_ms
    if not until_ms then
      return op.refuse("invalid_input", { argument = "until_ms", why = "is missing" })
    elseif until_ms > now_ms + limits.delay_ahead_ms then
      return op.refuse("invalid_input", { argument = "until_ms", why = "is over a year ahead" })
    end
    local bucket = arg.key and arg.limit .. "|" .. arg.key or arg.limit
    redis.call("HSET", keys.pauses(), bucket, string.format("%.0f", until_ms))
    pending.add_row(keys.timers(), limit.row_of(bucket), until_ms)
    slots.reconsider(bucket)
    return op.outcome("paused")
  end,
})
