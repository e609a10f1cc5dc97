-- A page of a stream as readers get it, and how far the stream has got.
local frames = require("lib.frames")
local op = require("lib.op")
local stream = require("lib.stream")

local page = {}

-- The answer for frames `from` to `to`, at most `count` of them.
function page.answer(x, attempt, from, to, count)
  local known = stream.load(x.id, attempt)
  local is_over = stream.is_over(x, attempt)
  if known == nil then
    return op.outcome("found", {
      frames = {},
      next = from - 1,
      more = false,
      count = 0,
      over = is_over,
    })
  end
  local found = frames.page(x.id, attempt, from, to, count)
  return op.outcome("found", {
    frames = found.frames,
    -- Numbers without a kept frame need not be asked for again.
    next = found.seen or math.max(from - 1, math.min(to, known.last)),
    more = found.more,
    count = known.last,
    over = is_over,
    closed = known.reason,
    first = found.first,
  })
end

return page
