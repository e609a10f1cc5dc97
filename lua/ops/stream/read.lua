-- Read kept frames of an attempt by their numbers, both ends included.
local limits = require("generated.limits")
local op = require("lib.op")
local page = require("lib.page")
local record = require("lib.record")

return op.define({
  name = "stream.read",
  events = {},
  reads = true,
  args = {
    "id:id",
    "attempt:index",
    "from:frame_number",
    "to:frame_number?",
    "count:frame_count",
  },
  returns = {
    found = {
      "frames:blobs",
      "next:int",
      "more:flag",
      "count:int",
      "over:flag",
      "closed:text?",
      "first:int?",
    },
  },
  run = function(arg)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    local to = arg.to or limits.frame_number.max
    return page.answer(x, arg.attempt, arg.from, to, arg.count)
  end,
})
