-- Read everything small that is stored about one execution, in one step.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "execution.describe",
  events = {},
  reads = true,
  args = { "id:id" },
  returns = {
    found = { "fields:map", "note:text?", "tags:text?", "attempts:list" },
    absent = {},
  },
  run = function(arg)
    local fields = redis.call("HGETALL", keys.execution(arg.id))
    if #fields == 0 then
      return op.outcome("absent")
    end
    return op.outcome("found", {
      fields = fields,
      note = redis.call("GET", keys.note(arg.id)),
      tags = redis.call("GET", keys.tags(arg.id)),
      attempts = redis.call("LRANGE", keys.attempts(arg.id), 0, -1),
    })
  end,
})
