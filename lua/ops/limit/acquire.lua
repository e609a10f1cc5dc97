-- Ask for a slot on behalf of an execution in another partition; asking again changes nothing more.
local keys = require("lib.keys")
local limit = require("lib.limit")
local limits = require("generated.limits")
local op = require("lib.op")
local slots = require("lib.slots")

local function bucket_of(arg)
  return arg.key and arg.limit .. "|" .. arg.key or arg.limit
end

return op.define({
  name = "limit.acquire",
  events = { "admit" },
  args = {
    "limit:word",
    "key:word?",
    "share:word?",
    "partition:partition",
    "id:id",
    "ticket:ticket",
    "created_at:ms",
    "priority:priority",
  },
  returns = { admitted = {}, queued = {} },
  run = function(arg, now_ms)
    local bucket, share = bucket_of(arg), arg.share or nil
    local request = string.format("%s:%.0f", arg.id, arg.ticket)
    local holder = slots.foreign_holder(arg.partition, request)
    local definition = limit.definition(arg.limit)
    if not definition or redis.call("ZSCORE", keys.slots(bucket), holder) then
      return op.outcome("admitted")
    end
    if not slots.is_waited_for(bucket) and limit.room_at(bucket, definition, now_ms) == nil then
      slots.enter(bucket, holder, definition, now_ms)
      -- Whoever asked tells the execution; should that fail, the check does.
      slots.check(bucket, holder, now_ms + limits.owed_again_ms)
      return op.outcome("admitted")
    end
    local score = arg.created_at - arg.priority * limits.priority_step_ms
    slots.wait(bucket, share, holder, score)
    slots.reconsider(bucket)
    return op.outcome("queued")
  end,
})
