-- Read one page of the partition's flows, in the order of their ids.
local digits = require("lib.digits")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local listing = require("lib.listing")
local op = require("lib.op")

return op.define({
  name = "flow.list",
  events = {},
  reads = true,
  args = { "after:id?", "count:page_count" },
  returns = { listed = { "flows:flow", "more:flag" } },
  run = function(arg)
    local ids, more = listing.page(keys.flows(), arg.after, arg.count)
    local rows = {}
    for position, id in ipairs(ids) do
      -- One that does not parse is told as such by whoever reads the page.
      local parses, h = pcall(hashes.open, keys.flow(id))
      local f = parses and h.f or {}
      rows[position] = { id, digits.of(f.created_at) or false, f.state or false }
    end
    return op.outcome("listed", { flows = rows, more = more })
  end,
})
