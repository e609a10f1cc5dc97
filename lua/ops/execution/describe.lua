-- Read everything small that is stored about one execution, in one step.
local keys = require("lib.keys")
local op = require("lib.op")

-- Without what signals contributed: that may be much.
local function suspension_fields(id)
  local flat, fields = redis.call("HGETALL", keys.suspension(id)), {}
  for position = 1, #flat, 2 do
    if flat[position]:byte() ~= 43 then
      fields[#fields + 1] = flat[position]
      fields[#fields + 1] = flat[position + 1]
    end
  end
  return fields
end

return op.define({
  name = "execution.describe",
  events = {},
  reads = true,
  args = { "id:id" },
  returns = {
    found = {
      "fields:map",
      "note:text?",
      "tags:text?",
      "attempts:list",
      "suspension:map",
    },
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
      suspension = suspension_fields(arg.id),
    })
  end,
})
