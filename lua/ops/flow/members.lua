-- Read one page of a flow's members with their states and how their inbound edges stand.
local group = require("lib.group")
local keys = require("lib.keys")
local listing = require("lib.listing")
local op = require("lib.op")
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
    local ids, more = listing.page(keys.members(arg.flow), arg.after, arg.count)
    local rows = {}
    for position, id in ipairs(ids) do
      rows[position] = row(id)
    end
    return op.outcome("listed", { members = rows, more = more })
  end,
})
