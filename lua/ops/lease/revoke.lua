-- Take a lease away from its holder, so that somebody else can reclaim the work.
local due = require("lib.due")
local fence = require("lib.fence")
local op = require("lib.op")
local record = require("lib.record")

return op.define({
  name = "lease.revoke",
  events = { "revokeLease" },
  args = { "id:id", "lease_id:word?" },
  returns = { revoked = { "lease_id:text", "epoch:int" }, already_lost = { "state:text" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    due.apply(x, now_ms)
    if x.f.state == "leased.revoked" or x.f.state == "leased.expired" then
      return op.outcome("already_lost", { state = x.f.state })
    end
    if x.f.state ~= "leased.held" then
      return fence.not_active(x)
    end
    if arg.lease_id and arg.lease_id ~= x.f.lease_id then
      return op.refuse("stale_lease", { epoch = x.f.epoch, attempt = x.f.attempt })
    end
    local lease_id, epoch = x.f.lease_id, x.f.epoch
    due.lose_lease(x, "revokeLease", now_ms)
    return op.outcome("revoked", { lease_id = lease_id, epoch = epoch })
  end,
})
