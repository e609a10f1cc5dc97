-- Read the frames after a cursor; when there are none yet, ask to be called when there are.
local limits = require("generated.limits")
local op = require("lib.op")
local page = require("lib.page")
local record = require("lib.record")

return op.define({
  name = "stream.tail",
  events = {},
  args = {
    "id:id",
    "attempt:index",
    "after:frame_cursor",
    "count:frame_count",
    "wait_ms:tail_ms",
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
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    local to = limits.frame_number.max
    local answer = page.answer(x, arg.attempt, arg.after + 1, to, arg.count)
    local found = answer.fields
    if arg.wait_ms > 0 and #found.frames == 0 and not found.over then
      local until_ms = now_ms + arg.wait_ms
      if until_ms > (record.number(x, "tailed") or 0) then
        record.set(x, "tailed", until_ms)
        record.save(x)
      end
    end
    return answer
  end,
})
