-- Read the rolling document of an attempt.
local op = require("lib.op")
local record = require("lib.record")
local summary = require("lib.summary")

return op.define({
  name = "stream.summary",
  events = {},
  reads = true,
  args = { "id:id", "attempt:index" },
  returns = {
    found = { "version:int", "updated_at:int", "document:bytes" },
    absent = {},
  },
  run = function(arg)
    if record.load(arg.id) == nil then
      return op.refuse("execution_not_found", {})
    end
    local found = summary.load(arg.id, arg.attempt)
    if found == nil then
      return op.outcome("absent")
    end
    return op.outcome("found", found)
  end,
})
