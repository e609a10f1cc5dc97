-- Note that another partition was told what a row says; a slot is checked again after a while.
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")
local owed = require("lib.owed")
local slots = require("lib.slots")

return op.define({
  name = "limit.settle",
  events = {},
  args = { "row:owed_row" },
  returns = { settled = {} },
  run = function(arg, now_ms)
    local kind, partition, bucket, _, id, ticket = owed.read(arg.row)
    local holder = slots.foreign_holder(partition, id .. ":" .. ticket)
    if kind == "check" and redis.call("ZSCORE", keys.slots(bucket), holder) then
      redis.call("ZADD", keys.owed(), "XX", now_ms + limits.slot_check_ms, arg.row)
    else
      redis.call("ZREM", keys.owed(), arg.row)
    end
    return op.outcome("settled")
  end,
})
