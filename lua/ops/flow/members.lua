-- Read one page of a flow's members with their states and how their inbound edges stand.
local group = require("lib.group")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")
local record = require("lib.record")

local function row(id)
  local x = record.load(id)
  if x.f.has_up == nil then
    return { id, x.f.task, x.f.state, false }
  end
  local g = group.load(id)
  local words = {}
  for position, name in ipairs({ "policy", "state", "k", "remaining", "impossible", "collect" }) do
    words[position] = tostring(hashes.get(g, name) or "")
  end
  for _, name in ipairs({ "n", "s", "f", "x" }) do
    words[#words + 1] = string.format("%.0f", hashes.number(g, name))
  end
  words[#words + 1] = hashes.get(g, "sealed") ~= nil and "sealed" or ""
  return { id, x.f.task, x.f.state, table.concat(words, " ") }
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
