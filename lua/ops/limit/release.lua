-- Take back a request for a slot, or the slot, of an execution in another partition.
local op = require("lib.op")
local owed = require("lib.owed")
local slots = require("lib.slots")

return op.define({
  name = "limit.release",
  events = { "admit" },
  args = {
    "limit:word",
    "key:word?",
    "share:word?",
    "partition:partition",
    "id:id",
    "ticket:ticket",
    "began:flag",
  },
  returns = { released = {} },
  run = function(arg)
    local bucket = arg.key and arg.limit .. "|" .. arg.key or arg.limit
    local request = string.format("%s:%.0f", arg.id, arg.ticket)
    local holder = slots.foreign_holder(arg.partition, request)
    slots.stop_waiting(bucket, arg.share or nil, holder)
    slots.free(bucket, holder, not arg.began)
    owed.remove("check", arg.partition, bucket, nil, request)
    return op.outcome("released")
  end,
})
