-- Read everything small that is stored about one execution, in one step.
local group = require("lib.group")
local keys = require("lib.keys")
local op = require("lib.op")
local record = require("lib.record")
local suspension = require("lib.suspension")
local values = require("lib.values")

local function flat(fields)
  local list = {}
  for name, value in pairs(fields) do
    list[#list + 1] = name
    list[#list + 1] = value
  end
  return list
end

-- Without what signals contributed: that may be much.
local function suspension_fields(id)
  local s = suspension.load({ id = id, f = {} })
  return flat(s and s.f or {})
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
      "group:text?",
    },
    absent = {},
  },
  run = function(arg)
    local x = record.load(arg.id)
    if x == nil then
      return op.outcome("absent")
    end
    return op.outcome("found", {
      fields = flat(x.f),
      note = values.read(keys.note(arg.id)),
      tags = values.read(keys.tags(arg.id)),
      attempts = redis.call("LRANGE", keys.attempts(arg.id), 0, -1),
      suspension = suspension_fields(arg.id),
      group = x.f.has_up ~= nil and group.words(group.load(arg.id)) or nil,
    })
  end,
})
