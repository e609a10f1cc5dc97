-- Tell an execution that it was given a slot in another partition, or ask whether it has it still.
local limits = require("generated.limits")
local op = require("lib.op")
local owed = require("lib.owed")
local record = require("lib.record")
local slots = require("lib.slots")
local withhold = require("lib.withhold")

return op.define({
  name = "limit.admit",
  events = { "admit" },
  args = { "id:id", "limit:word", "key:word?", "ticket:ticket" },
  returns = { held = {}, unneeded = {} },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil or x.f.home == nil or record.number(x, "ticket") ~= arg.ticket then
      return op.outcome("unneeded")
    end
    local bucket = arg.key and arg.limit .. "|" .. arg.key or arg.limit
    if x.f.slot == bucket then
      return op.outcome("held")
    elseif x.f.waits_for ~= bucket then
      return op.outcome("unneeded")
    end
    owed.remove("ask", x.f.home, bucket, x.f.share, slots.holder(x))
    record.set(x, "waits_for", nil)
    record.set(x, "slot", bucket)
    record.set(x, "permit_until", now_ms + limits.permit_ms)
    -- Where an operator holds it, it gives the slot back at once.
    withhold.admit(x, now_ms)
    return op.outcome("held")
  end,
})
