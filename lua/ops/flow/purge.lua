-- Forget an ended flow before its retention is over; a large one takes several calls.
local flow = require("lib.flow")
local op = require("lib.op")
local retire = require("lib.retire")

return op.define({
  name = "flow.purge",
  events = {},
  args = { "flow:id" },
  returns = { purged = { "left:flag" }, absent = {} },
  run = function(arg)
    local h = flow.load(arg.flow)
    if h == nil then
      return op.outcome("absent")
    end
    if flow.state(h) == "open" or flow.unfinished(h) > 0 then
      return op.refuse("flow_not_ended", { flow = arg.flow, state = flow.state(h) })
    end
    local _, is_gone = retire.remove(arg.flow, "operator")
    return op.outcome("purged", { left = not is_gone })
  end,
})
