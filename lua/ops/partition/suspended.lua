-- Read one page of the suspended executions: by deadline, then by id; stable while rows leave.
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")

-- How many rows stand at or before the cursor. Rows of one deadline are in the order of their ids,
-- so the place of an id is found by halving even when its own row has left.
local function rank_after(key, score, id)
  local low = redis.call("ZCOUNT", key, "-inf", "(" .. score)
  local high = redis.call("ZCOUNT", key, "-inf", score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call("ZRANGE", key, middle, middle)[1] <= id then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local function suspended_row(id, score)
  local found = redis.call("HMGET", keys.suspension(id), "reason", "at")
  return { id, score, found[1], found[2] }
end

return op.define({
  name = "partition.suspended",
  events = {},
  reads = true,
  args = { "after_score:ms?", "after:id?", "count:page_count" },
  returns = { listed = { "executions:suspended", "more:flag" } },
  run = function(arg)
    if arg.count == 0 then
      return op.outcome("listed", { executions = {}, more = false })
    end
    pending.flush()
    local key, from, rows = keys.index("suspended"), 0, {}
    if arg.after_score and arg.after then
      from = rank_after(key, string.format("%.0f", arg.after_score), arg.after)
    end
    local flat = redis.call("ZRANGE", key, from, from + arg.count, "WITHSCORES")
    local more = #flat > 2 * arg.count
    for position = 1, math.min(#flat, 2 * arg.count), 2 do
      rows[#rows + 1] = suspended_row(flat[position], flat[position + 1])
    end
    return op.outcome("listed", { executions = rows, more = more })
  end,
})
