-- Do what is due and nobody claims: promotions, deadlines, retention, the feed. Safe at any time.
local budgets = require("lib.budgets")
local due = require("lib.due")
local feed = require("lib.feed")
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")
local pending = require("lib.pending")
local purge = require("lib.purge")
local record = require("lib.record")
local retire = require("lib.retire")
local usage = require("lib.usage")
local wake = require("lib.wake")

local function purge_due(now_ms, count)
  pending.flush()
  local ids = redis.call(
    "ZRANGEBYSCORE",
    keys.index("terminal"),
    "-inf",
    string.format("%.0f", now_ms),
    "LIMIT",
    0,
    count
  )
  for _, id in ipairs(ids) do
    purge.remove(record.load(id), "clock")
  end
  return #ids
end

local function next_purge()
  pending.flush()
  local at_ms = tonumber(redis.call("ZRANGE", keys.index("terminal"), 0, 0, "WITHSCORES")[2])
  if at_ms == limits.no_deadline_score then
    -- Members of flows go with their flow.
    at_ms = nil
  end
  local flow_at_ms = retire.next_at()
  if at_ms == nil or (flow_at_ms ~= nil and flow_at_ms < at_ms) then
    return flow_at_ms
  end
  return at_ms
end

local function next_owed()
  return tonumber(redis.call("ZRANGE", keys.owed(), 0, 0, "WITHSCORES")[2])
end

return op.define({
  name = "partition.sweep",
  events = { "promote", "loseLease", "timeOut", "expire", "lapse", "admit" },
  args = { "count:sweep_count" },
  returns = {
    swept = {
      "promoted:int",
      "purged:int",
      "next_at:int?",
      "next_purge_at:int?",
      "owed_at:int?",
      "next_budget_at:int?",
      "next_usage_at:int?",
      "untold_at:int?",
      "now:int",
    },
  },
  run = function(arg, now_ms)
    local promoted = due.promote(now_ms, arg.count)
    local purged = purge_due(now_ms, arg.count) + retire.due(now_ms, arg.count)
    budgets.promote(now_ms, arg.count)
    wake.forget(now_ms)
    feed.trim(now_ms)
    return op.outcome("swept", {
      promoted = promoted,
      purged = purged,
      next_at = due.next_at(now_ms),
      next_purge_at = next_purge(),
      owed_at = next_owed(),
      next_budget_at = budgets.next_at(),
      next_usage_at = usage.next_at(),
      untold_at = budgets.untold_at(),
      now = now_ms,
    })
  end,
})
