-- Set how many bytes of events this partition keeps, and for how long.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "partition.keep_events",
  events = {},
  args = { "bytes:feed_bytes", "ms:retention_ms" },
  returns = { changed = {} },
  run = function(arg)
    local bytes, ms = string.format("%.0f", arg.bytes), string.format("%.0f", arg.ms)
    redis.call("HSET", keys.config(), "feed_bytes", bytes, "feed_ms", ms)
    return op.outcome("changed")
  end,
})
