-- Read how a limit, or one of its keys, stands: who works, what began, who waits.
local keys = require("lib.keys")
local limit = require("lib.limit")
local op = require("lib.op")

return op.define({
  name = "limit.describe",
  events = {},
  reads = true,
  args = { "limit:word", "key:word?" },
  returns = {
    found = {
      "definition:text",
      "active:int",
      "started:int",
      "waiting:int",
      "paused_until:int?",
      "room_at:int?",
      "now:int",
    },
    absent = {},
  },
  run = function(arg, now_ms)
    local text = redis.call("HGET", keys.limits(), arg.limit)
    if not text then
      return op.outcome("absent")
    end
    local definition = limit.parse(text)
    local bucket = arg.key and arg.limit .. "|" .. arg.key or arg.limit
    return op.outcome("found", {
      definition = text,
      active = redis.call("ZCARD", keys.slots(bucket)),
      started = limit.started(bucket, definition.window_ms, now_ms),
      waiting = redis.call("HGET", keys.waiting(arg.limit), bucket) or 0,
      paused_until = limit.paused_until(bucket, now_ms),
      room_at = limit.room_at(bucket, definition, now_ms) or nil,
      now = now_ms,
    })
  end,
})
