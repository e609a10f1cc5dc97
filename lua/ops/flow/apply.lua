-- Add members and edges to a flow, or begin one with them, all or nothing; what is there stays.
local flow = require("lib.flow")
local graph = require("lib.graph")
local graph_plan = require("lib.graph_plan")
local hashes = require("lib.hashes")
local op = require("lib.op")

return op.define({
  name = "flow.apply",
  events = { "submit", "childrenSettled", "dependencyFailed", "skip" },
  args = {
    "flow:id",
    "members:members",
    "joins:joins",
    "edges:edges",
    "seal:ids?",
    "finish:flag",
    -- The fence of a running parent that adds work of its own.
    "parent:id?",
    "attempt:index?",
    "lease_id:word?",
    "epoch:epoch?",
    -- What kind of flow begins unless it is there already, and how.
    "kind:word?",
    "failure:flow_failure?",
    "completion:flow_completion?",
    "root:id?",
    "retention_ms:retention_ms?",
    "tags:tags?",
  },
  returns = {
    applied = {
      "created:flag",
      "added:int",
      "linked:int",
      "members:int",
      "revision:int",
      "state:text",
    },
  },
  run = function(arg, now_ms)
    local plan, refusal = graph_plan.make(arg, now_ms)
    if plan == nil then
      return refusal
    end
    if plan.begins then
      flow.create(plan.flow, arg, now_ms)
    end
    graph.apply(plan, now_ms)
    local h = plan.flow
    if arg.finish then
      graph.seal(h, now_ms)
    end
    return op.outcome("applied", {
      created = plan.begins,
      added = #plan.added,
      linked = #plan.edges,
      members = hashes.number(h, "members"),
      revision = hashes.number(h, "revision"),
      state = flow.state(h),
    })
  end,
})
