-- Read the logged reports whose budgets should have answered by now: they are sent once more.
local amounts = require("lib.amounts")
local op = require("lib.op")
local usage = require("lib.usage")

return op.define({
  name = "usage.unsettled",
  events = {},
  reads = true,
  args = { "count:page_count" },
  returns = { listed = { "reports:unsettled" } },
  run = function(arg, now_ms)
    local rows = {}
    for position, found in ipairs(usage.overdue(now_ms, arg.count)) do
      local entry = usage.entry(found.id, found.seq)
      rows[position] = {
        found.id,
        found.seq,
        usage.settled(found.id),
        entry.budget,
        entry.mode,
        amounts.format(entry.amounts),
        entry.reservation or false,
      }
    end
    return op.outcome("listed", { reports = rows })
  end,
})
