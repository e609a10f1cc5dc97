-- Record how many partitions the namespace has on first use; a different count is refused.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "partition.open",
  events = {},
  args = { "partitions:partition_count" },
  returns = { opened = { "partitions:int" } },
  run = function(arg)
    local known = redis.call("HGET", keys.config(), "partitions")
    if not known then
      known = string.format("%.0f", arg.partitions)
      redis.call("HSET", keys.config(), "partitions", known)
    elseif tonumber(known) ~= arg.partitions then
      return op.refuse("partition_mismatch", { stored = known, given = arg.partitions })
    end
    return op.outcome("opened", { partitions = known })
  end,
})
