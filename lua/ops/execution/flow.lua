-- Read which flow an execution belongs to.
local op = require("lib.op")
local record = require("lib.record")

return op.define({
  name = "execution.flow",
  events = {},
  reads = true,
  args = { "id:id" },
  returns = { found = { "flow:text?" }, absent = {} },
  run = function(arg)
    local x = record.load(arg.id)
    if x == nil then
      return op.outcome("absent")
    end
    return op.outcome("found", { flow = x.f.flow })
  end,
})
