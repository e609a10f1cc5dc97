-- Read how the execution ended, or ask to be told when it does.
local keys = require("lib.keys")
local op = require("lib.op")
local record = require("lib.record")
local values = require("lib.values")

return op.define({
  name = "execution.watch",
  events = {},
  args = { "id:id" },
  returns = {
    ended = { "state:text", "reason:text?", "class:text?", "ending:bytes?" },
    pending = { "state:text" },
  },
  run = function(arg)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    if x.f.ended_at == nil then
      record.set(x, "watched", 1)
      record.save(x)
      return op.outcome("pending", { state = x.f.state })
    end
    return op.outcome("ended", {
      state = x.f.state,
      reason = x.f.reason,
      class = x.f.class,
      ending = values.read(keys.ending(arg.id)),
    })
  end,
})
