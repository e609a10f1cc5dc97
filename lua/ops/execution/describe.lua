-- Read everything small that is stored about one execution, in one step.
local keys = require("lib.keys")
local op = require("lib.op")
local suspension = require("lib.suspension")

-- Without what signals contributed: that may be much.
local function suspension_fields(id)
  local s, flat = suspension.load({ id = id, f = {} }), {}
  for name, value in pairs(s and s.f or {}) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
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
