-- Make another key the current one; tokens of the key before it count until its grace is over.
local keyring = require("lib.keyring")
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "keyring.rotate",
  events = {},
  args = { "kid:kid", "secret:secret", "grace_ms:grace_ms" },
  returns = { rotated = { "previous:text?", "removed:int", "replayed:flag" } },
  run = function(arg, now_ms)
    local names = { "s" .. arg.kid, "x" .. arg.kid, "current" }
    local found = redis.call("HMGET", keys.keyring(), unpack(names))
    if found[1] == arg.secret and found[3] == arg.kid then
      return op.outcome("rotated", { previous = nil, removed = 0, replayed = true })
    elseif found[1] or found[2] then
      -- A key that still counts would lose the end of its grace, a forgotten one come back.
      return op.refuse("rotation_conflict", { kid = arg.kid })
    end
    local previous, removed = keyring.install(arg.kid, arg.secret, arg.grace_ms, now_ms)
    return op.outcome("rotated", { previous = previous, removed = removed, replayed = false })
  end,
})
