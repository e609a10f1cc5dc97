-- Close a waitpoint that no suspension needs; closing it twice is answered alike.
local fence = require("lib.fence")
local op = require("lib.op")
local waitpoints = require("lib.waitpoints")

return op.define({
  name = "waitpoint.close",
  events = {},
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "waitpoint:digest",
    "why:word",
  },
  returns = { closed = { "replayed:flag" } },
  run = function(arg, now_ms)
    local x, answer = fence.check(arg, now_ms)
    if x == nil then
      return answer
    end
    local point = waitpoints.load(x, arg.waitpoint)
    if point == nil then
      return op.refuse("waitpoint_not_found", { waitpoint = arg.waitpoint })
    elseif point.state == "closed" then
      return op.outcome("closed", { replayed = true })
    end
    -- While the lease is held nothing is suspended, so the waitpoint can only be pending.
    waitpoints.close(x, point, arg.why, now_ms)
    return op.outcome("closed", { replayed = false })
  end,
})
