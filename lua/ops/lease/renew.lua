-- Keep a lease alive for its own length from now on; it never gets shorter.
local fence = require("lib.fence")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

return op.define({
  name = "lease.renew",
  events = { "renew" },
  args = { "id:id", "attempt:index", "lease_id:word", "epoch:epoch" },
  returns = { renewed = { "expires_at:int", "epoch:int" } },
  run = function(arg, now_ms)
    local x, answer = fence.check(arg, now_ms)
    if x == nil then
      return answer
    end
    transition.apply(x, "renew", {})
    local expires_at = now_ms + record.need(x, "lease_ms")
    record.set(x, "expires_at", math.max(expires_at, record.need(x, "expires_at")))
    transition.commit(x, now_ms)
    return op.outcome("renewed", { expires_at = x.f.expires_at, epoch = x.f.epoch })
  end,
})
