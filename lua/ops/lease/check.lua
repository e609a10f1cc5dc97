-- Make sure that the caller holds the lease, for what it is about to do elsewhere.
local fence = require("lib.fence")
local op = require("lib.op")

return op.define({
  name = "lease.check",
  events = {},
  args = { "id:id", "attempt:index", "lease_id:word", "epoch:epoch" },
  returns = { held = {} },
  run = function(arg, now_ms)
    local held, refusal = fence.glance(arg, now_ms)
    return held == nil and refusal or op.outcome("held")
  end,
})
