-- Give up to `count` executions of some lanes to a worker, or tell it when to look again.
local cascade = require("lib.cascade")
local due = require("lib.due")
local flow = require("lib.flow")
local granted = require("lib.granted")
local keys = require("lib.keys")
local lanes = require("lib.lanes")
local lease = require("lib.lease")
local limits = require("generated.limits")
local op = require("lib.op")
local pending = require("lib.pending")
local record = require("lib.record")
local transition = require("lib.transition")
local wake = require("lib.wake")
local withhold = require("lib.withhold")

local index_of = { f = "ready", r = "resumed", c = "reclaimable" }

local function covers(offered, required)
  for capability in required:gmatch("[^,]+") do
    if not offered["," .. capability] then
      return false
    end
  end
  return true
end

local function offer(capabilities)
  local offered = {}
  for capability in (capabilities or ""):gmatch("[^,]+") do
    offered["," .. capability] = true
  end
  return offered
end

-- What work of the lane requires, as far as this worker offers it.
local function required_of(lane, offered)
  local list = {}
  for _, required in ipairs(redis.call("SMEMBERS", keys.routes(lane))) do
    if covers(offered, required) then
      list[#list + 1] = required
    end
  end
  return list
end

-- A route that holds nothing is forgotten, so that sets of capabilities do not pile up. Whoever
-- finds nothing anywhere has the time to look.
local function forget_empty_routes(arg)
  local offered = offer(arg.capabilities)
  for _, lane in ipairs(arg.lanes) do
    for _, required in ipairs(required_of(lane, offered)) do
      local route = lane .. "|" .. required
      local held = redis.call(
        "EXISTS",
        keys.routed_index("ready", route),
        keys.routed_index("resumed", route),
        keys.routed_index("reclaimable", route)
      )
      if held == 0 then
        redis.call("SREM", keys.routes(lane), required)
      end
    end
  end
end

-- The index keys that this worker may take from.
local function sources(arg)
  local list, offered = {}, offer(arg.capabilities)
  for _, lane in ipairs(arg.lanes) do
    if lanes.state(lane) ~= "paused" then
      local routes = { lane }
      for _, required in ipairs(required_of(lane, offered)) do
        routes[#routes + 1] = lane .. "|" .. required
      end
      for _, route in ipairs(routes) do
        for kind in arg.kinds:gmatch(".") do
          list[#list + 1] = keys.routed_index(index_of[kind], route)
        end
      end
    end
  end
  return list
end

local function before(a, b)
  if a.score ~= b.score then
    return a.score < b.score
  end
  return a.id < b.id
end

-- The best candidates over all sources, best first; rows under a live grant come last everywhere
-- and are left out.
local function candidates(list, count)
  pending.flush()
  local found, filled = {}, 0
  for _, key in ipairs(list) do
    local flat = redis.call("ZRANGE", key, 0, count - 1, "WITHSCORES")
    if #flat > 0 then
      filled = filled + 1
    end
    for position = 1, #flat, 2 do
      local score = tonumber(flat[position + 1])
      if score < limits.granted_score then
        found[#found + 1] = { id = flat[position], score = score }
      end
    end
  end
  if filled > 1 then
    table.sort(found, before)
  end
  return found
end

-- Whether the work may start; work of a flow that is over is put aside.
local function is_free(x, now_ms)
  if x.f.flow == nil or not flow.is_over(x) then
    return transition.accepts(x, "claim")
  end
  if transition.accepts(x, "withhold") then
    withhold.apply(x, "flow", now_ms)
  elseif transition.accepts(x, "claim") then
    cascade.cancel(x, now_ms)
  end
  return false
end

local function take(arg, list, now_ms, now_us)
  local rows = {}
  -- A second round makes up for candidates whose deadline had passed.
  for _ = 1, 2 do
    if #rows == arg.count then
      break
    end
    for _, candidate in ipairs(candidates(list, arg.count - #rows)) do
      if #rows == arg.count then
        break
      end
      local x = record.load(candidate.id)
      -- A deadline may have passed while it waited.
      if not due.apply(x, now_ms) and is_free(x, now_ms) then
        lease.grant(x, arg.lease_id .. "." .. (#rows + 1), arg, now_ms, now_us)
        rows[#rows + 1] = lease.claimed_row(x)
      end
    end
  end
  return rows
end

return op.define({
  name = "lease.claim",
  events = { "claim", "withhold", "admit" },
  args = {
    "lanes:lanes",
    "capabilities:capabilities",
    "kinds:kinds",
    "count:claim_count",
    "worker:word",
    "lease_id:lease_stem",
    "lease_ms:lease_ms",
    "sleep_ms:lease_ms?",
  },
  returns = {
    claimed = { "rows:claimed", "replayed:flag" },
    empty = { "next_at:int?", "now:int" },
  },
  run = function(arg, now_ms, now_us)
    -- Also when the lease id is new: a call that was given up can arrive after its repetition.
    local rows = granted.rows(arg.lease_id, arg.count, now_ms)
    if #rows > 0 then
      return op.outcome("claimed", { rows = rows, replayed = true })
    end
    if op.first("promote") then
      due.promote(now_ms, limits.promote_per_call)
    end
    rows = take(arg, sources(arg), now_ms, now_us)
    if #rows > 0 then
      return op.outcome("claimed", { rows = rows, replayed = false })
    end
    pending.flush()
    forget_empty_routes(arg)
    if arg.sleep_ms then
      for _, lane in ipairs(arg.lanes) do
        wake.sleep(lane, now_ms + arg.sleep_ms)
      end
    end
    return op.outcome("empty", { next_at = due.next_at(now_ms), now = now_ms })
  end,
})
