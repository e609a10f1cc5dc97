-- End a flow as cancelled; its members follow, as the policy says, in bounded steps.
local backlog = require("lib.backlog")
local feed = require("lib.feed")
local flow = require("lib.flow")
local hashes = require("lib.hashes")
local limits = require("generated.limits")
local op = require("lib.op")

return op.define({
  name = "flow.cancel",
  events = { "cancelExecution" },
  args = { "flow:id", "policy:cancel_policy", "why:text" },
  returns = {
    cancelled = { "policy:text", "unfinished:int", "left:flag", "replayed:flag" },
    already_ended = { "state:text" },
  },
  run = function(arg, now_ms)
    local h = flow.load(arg.flow)
    if h == nil then
      return op.refuse("flow_not_found", { flow = arg.flow })
    end
    local state, policy = flow.state(h), hashes.get(h, "cancel_policy")
    if state ~= "open" and state ~= "cancelled" then
      return op.outcome("already_ended", { state = state })
    end
    local is_wider = limits.cancel_policies[arg.policy] > (limits.cancel_policies[policy] or 0)
    if is_wider then
      if state == "open" then
        flow.finish(h, "cancelled", arg.why ~= "" and arg.why or "flow_cancelled", now_ms)
      else
        feed.flow(h.id, "cancelFlow", state, arg.policy)
      end
      flow.doom(h, arg.policy)
      backlog.run(now_ms, limits.work_per_call)
      flow.decide(h, now_ms)
    end
    return op.outcome("cancelled", {
      policy = hashes.get(h, "cancel_policy"),
      unfinished = flow.unfinished(h),
      left = hashes.get(h, "cancelling") ~= nil,
      replayed = not is_wider,
    })
  end,
})
