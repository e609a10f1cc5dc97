-- Read one page of a flow's members with their states and how their inbound edges stand.
local group = require("lib.group")
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")
local record = require("lib.record")

local function row(id)
  local x = record.load(id)
  if x.f.has_up == nil then
    return { id, x.f.task, x.f.state, false }
  end
  return { id, x.f.task, x.f.state, group.words(group.load(id)) }
end

return op.define({
  name = "flow.members",
  events = {},
  reads = true,
  args = { "flow:id", "after:id?", "count:page_count" },
  returns = { listed = { "members:member", "more:flag" } },
  run = function(arg)
    pending.flush()
    local rows, from = {}, arg.after and "(" .. arg.after or "-"
    local key = keys.members(arg.flow)
    local ids = arg.count > 0
        and redis.call("ZRANGE", key, from, "+", "BYLEX", "LIMIT", 0, arg.count + 1)
      or {}
    for position = 1, math.min(#ids, arg.count) do
      rows[position] = row(ids[position])
    end
    return op.outcome("listed", { members = rows, more = #ids > arg.count })
  end,
})
