-- Hand out what other partitions have to be told about slots; again and again until it is settled.
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")
local owed = require("lib.owed")
local record = require("lib.record")

local function due_rows(now_ms, count)
  local until_ms = string.format("%.0f", now_ms)
  return redis.call("ZRANGEBYSCORE", keys.owed(), "-inf", until_ms, "LIMIT", 0, count)
end

-- Whether the execution still asks for this.
local function still_asks(x, bucket, ticket)
  return x ~= nil and x.f.waits_for == bucket and x.f.ticket == ticket
end

-- The row with all that its receiver needs, or nil when it is out of date; an ask is ranked as its
-- execution is now.
local function complete_row(row)
  local kind, partition, bucket, share, id, ticket = owed.read(row)
  local x = kind == "ask" and record.load(id)
  if kind == "ask" and not still_asks(x, bucket, ticket) then
    return nil
  end
  local limit, key = bucket:match("^([^|]+)|?(.*)$")
  return {
    row,
    kind,
    partition,
    limit,
    key ~= "" and key or false,
    share or false,
    id,
    ticket,
    x and x.f.created_at or 0,
    x and x.f.priority or 0,
  }
end

return op.define({
  name = "limit.owed",
  events = {},
  args = { "count:sweep_count" },
  returns = { handed = { "owed:owed", "more:flag" } },
  run = function(arg, now_ms)
    local found, rows = due_rows(now_ms, arg.count), {}
    for _, row in ipairs(found) do
      local complete = complete_row(row)
      if complete == nil then
        redis.call("ZREM", keys.owed(), row)
      else
        redis.call("ZADD", keys.owed(), now_ms + limits.owed_again_ms, row)
        rows[#rows + 1] = complete
      end
    end
    return op.outcome("handed", { owed = rows, more = #found == arg.count })
  end,
})
