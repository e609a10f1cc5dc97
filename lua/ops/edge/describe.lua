-- Read one edge of a flow.
local group = require("lib.group")
local op = require("lib.op")
local record = require("lib.record")

return op.define({
  name = "edge.describe",
  events = {},
  reads = true,
  args = { "flow:id", "upstream:id", "downstream:id" },
  returns = { found = { "edges:edge" }, absent = {} },
  run = function(arg)
    local x = record.load(arg.downstream)
    local e = x ~= nil and x.f.flow == arg.flow and group.edge(group.load(x.id), arg.upstream)
    if not e then
      return op.outcome("absent")
    end
    local row = { arg.upstream, arg.downstream, e.kind, e.vote, e.created_at, e.name }
    return op.outcome("found", { edges = { row } })
  end,
})
