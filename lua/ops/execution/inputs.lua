-- Read one page of what an execution's upstreams came to: their outcomes and results.
local dependents = require("lib.dependents")
local group = require("lib.group")
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local values = require("lib.values")

return op.define({
  name = "execution.inputs",
  events = {},
  reads = true,
  args = { "id:id", "after:position", "count:page_count" },
  returns = { found = { "inputs:input", "more:flag" } },
  run = function(arg)
    local g, rows, bytes = group.load(arg.id), {}, 0
    local found = redis.call("LRANGE", keys.upstreams(arg.id), arg.after, arg.after + arg.count)
    for position = 1, math.min(#found, arg.count) do
      local id = found[position]
      local x = record.load(id) or { id = id, f = { state = "absent", task = "" } }
      local ending = x.f.ended_at ~= nil and values.read(keys.ending(x.id))
      bytes = bytes + (ending and #ending or 0)
      if position > 1 and bytes > limits.page_bytes then
        break
      end
      local state = dependents.public(x)
      local name = group.edge(g, x.id).name
      rows[position] = { x.id, name, x.f.task, state, x.f.reason or "", ending }
    end
    return op.outcome("found", { inputs = rows, more = #found > #rows })
  end,
})
