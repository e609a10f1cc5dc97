-- Read one page of the edges that lead into an execution or out of it.
local group = require("lib.group")
local keys = require("lib.keys")
local op = require("lib.op")

-- Nil when the downstream has been forgotten, with a part of its flow.
local function row(upstream, downstream)
  local e = group.edge(group.load(downstream), upstream)
  return e and { upstream, downstream, e.kind, e.vote, e.created_at, e.name }
end

return op.define({
  name = "edge.list",
  events = {},
  reads = true,
  args = { "id:id", "direction:edge_direction", "after:position", "count:page_count" },
  returns = { listed = { "edges:edge", "more:flag" } },
  run = function(arg)
    local is_inbound = arg.direction == "incoming"
    local key = is_inbound and keys.upstreams(arg.id) or keys.downstreams(arg.id)
    local rows = {}
    local found = redis.call("LRANGE", key, arg.after, arg.after + arg.count)
    for position = 1, math.min(#found, arg.count) do
      local other = found[position]
      local from, to = is_inbound and other or arg.id, is_inbound and arg.id or other
      rows[#rows + 1] = row(from, to)
    end
    return op.outcome("listed", { edges = rows, more = #found > arg.count })
  end,
})
