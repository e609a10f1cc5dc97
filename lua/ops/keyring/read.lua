-- Read the keys that sign waitpoint tokens; only processes that sign or verify ask for them.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "keyring.read",
  events = {},
  reads = true,
  args = {},
  returns = { read = { "entries:map", "now:int" } },
  run = function(_, now_ms)
    return op.outcome("read", { entries = redis.call("HGETALL", keys.keyring()), now = now_ms })
  end,
})
