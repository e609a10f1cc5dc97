-- Read what is stored about one flow.
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "flow.describe",
  events = {},
  reads = true,
  args = { "flow:id" },
  returns = { found = { "fields:map", "tags:text?" }, absent = {} },
  run = function(arg)
    hashes.flush()
    local fields = redis.call("HGETALL", keys.flow(arg.flow))
    if #fields == 0 then
      return op.outcome("absent")
    end
    return op.outcome(
      "found",
      { fields = fields, tags = redis.call("GET", keys.flow_tags(arg.flow)) }
    )
  end,
})
