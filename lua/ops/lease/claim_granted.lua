-- Claim the one execution that a grant reserves: interrupted work, or work whose lease was lost.
local admission = require("lib.admission")
local claimed = require("lib.claimed")
local due = require("lib.due")
local exhaustion = require("lib.exhaustion")
local flow = require("lib.flow")
local lease = require("lib.lease")
local op = require("lib.op")
local record = require("lib.record")

local function wrong_state(x, of)
  if of == "leased" then
    return not x.f.state:find("^leased%.[er]") and "execution_not_reclaimable" or nil
  elseif x.f.state == "runnable.ready" then
    return "not_a_resumed_execution"
  end
  return x.f.state ~= "runnable.resumed" and "execution_not_leaseable" or nil
end

return op.define({
  name = "lease.claim_granted",
  events = { "claim" },
  args = {
    "id:id",
    "of:grant_of",
    "grant_id:word",
    "worker:word",
    "lease_id:lease_stem",
    "lease_ms:lease_ms",
  },
  returns = { claimed = { "rows:claimed", "replayed:flag" } },
  run = function(arg, now_ms, now_us)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    local lease_id = arg.lease_id .. ".1"
    local lapsed = x.f.grant_id == arg.grant_id and record.need(x, "grant_until") <= now_ms
    due.apply(x, now_ms)
    if x.f.state == "leased.held" and x.f.lease_id == lease_id then
      local rows = claimed.rows()
      lease.hand_out(rows, x, 1)
      return op.outcome("claimed", { rows = rows, replayed = true })
    end
    local code = wrong_state(x, arg.of)
    if code ~= nil then
      return op.refuse(code, { state = x.f.state })
    end
    if x.f.flow ~= nil and flow.is_over(x) then
      return op.refuse("flow_ended", { flow = x.f.flow })
    end
    if lapsed then
      return op.refuse("claim_grant_expired", {})
    end
    if x.f.grant_id ~= arg.grant_id or x.f.grant_worker ~= arg.worker then
      return op.refuse("invalid_claim_grant", {})
    end
    local budget = x.f.budgets ~= nil and arg.of == "runnable" and exhaustion.of(x)
    if budget then
      return op.refuse("budget_exhausted", { budget = budget })
    end
    if x.f.limit ~= nil then
      if not admission.allows(x, now_ms) then
        return op.refuse("limit_reached", { limit = x.f.limit })
      end
      admission.acquire(x, now_ms)
    end
    lease.grant(x, lease_id, arg, now_ms, now_us)
    local rows = claimed.rows()
    lease.hand_out(rows, x, 1)
    return op.outcome("claimed", { rows = rows, replayed = false })
  end,
})
