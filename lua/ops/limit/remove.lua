-- Forget a limit: nothing that names it is limited any more, and whoever waited goes on.
local admission = require("lib.admission")
local keys = require("lib.keys")
local limit = require("lib.limit")
local op = require("lib.op")

return op.define({
  name = "limit.remove",
  events = { "admit" },
  args = { "limit:word" },
  returns = { removed = {}, absent = {} },
  run = function(arg, now_ms)
    if redis.call("HDEL", keys.limits(), arg.limit) == 0 then
      return op.outcome("absent")
    end
    redis.call("HDEL", keys.pauses(), arg.limit)
    limit.forget(arg.limit)
    admission.reconsider_all(arg.limit, now_ms)
    return op.outcome("removed")
  end,
})
