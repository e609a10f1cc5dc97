-- Install a first key when there is none; whoever comes second finds the key of the first.
local keyring = require("lib.keyring")
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "keyring.seed",
  events = {},
  args = { "kid:kid", "secret:secret" },
  returns = { seeded = { "current:text" }, present = { "current:text" } },
  run = function(arg, now_ms)
    local current = redis.call("HGET", keys.keyring(), "current")
    if current then
      return op.outcome("present", { current = current })
    end
    keyring.install(arg.kid, arg.secret, 0, now_ms)
    return op.outcome("seeded", { current = arg.kid })
  end,
})
