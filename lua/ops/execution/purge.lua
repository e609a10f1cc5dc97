-- Forget an ended execution before its retention is over; one that is gone already is no surprise.
local op = require("lib.op")
local purge = require("lib.purge")
local record = require("lib.record")

return op.define({
  name = "execution.purge",
  events = {},
  args = { "id:id" },
  returns = { purged = {}, absent = {} },
  run = function(arg)
    local x = record.load(arg.id)
    if x == nil then
      return op.outcome("absent")
    end
    if x.f.ended_at == nil then
      return op.refuse("execution_not_terminal", { state = x.f.state })
    end
    if x.f.flow ~= nil then
      return op.refuse("execution_in_flow", { flow = x.f.flow })
    end
    purge.remove(x, "operator")
    return op.outcome("purged")
  end,
})
