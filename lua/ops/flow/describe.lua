-- Read what is stored about one flow.
local digits = require("lib.digits")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local op = require("lib.op")

-- Also what no whole number is comes to the reader as it is.
local function text_of(value)
  return type(value) == "number" and value % 1 ~= 0 and tostring(value) or digits.of(value)
end

return op.define({
  name = "flow.describe",
  events = {},
  reads = true,
  args = { "flow:id" },
  returns = { found = { "fields:map", "tags:text?" }, absent = {} },
  run = function(arg)
    local fields = {}
    for name, value in pairs(hashes.open(keys.flow(arg.flow)).f) do
      fields[#fields + 1] = name
      fields[#fields + 1] = text_of(value)
    end
    if #fields == 0 then
      return op.outcome("absent")
    end
    return op.outcome(
      "found",
      { fields = fields, tags = redis.call("GET", keys.flow_tags(arg.flow)) }
    )
  end,
})
