-- Give up to `count` executions of some lanes to a worker, or tell it when to look again.
local admission = require("lib.admission")
local backlog = require("lib.backlog")
local cascade = require("lib.cascade")
local claimed = require("lib.claimed")
local digits = require("lib.digits")
local due = require("lib.due")
local exhaustion = require("lib.exhaustion")
local flow = require("lib.flow")
local granted = require("lib.granted")
local keys = require("lib.keys")
local lanes = require("lib.lanes")
local lease = require("lib.lease")
local limits = require("generated.limits")
local op = require("lib.op")
local pending = require("lib.pending")
local plain = require("lib.plain")
local quarantine = require("lib.quarantine")
local record = require("lib.record")
local transition = require("lib.transition")
local turns = require("lib.turns")
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

-- What work of the lane requires, as far as this worker offers it; and the same of the routes in
-- which keys take turns, which are listed with a bar.
local function required_of(lane, offered)
  local list, rings = {}, {}
  for _, required in ipairs(redis.call("SMEMBERS", keys.routes(lane))) do
    if covers(offered, required:match("^[^|]*")) then
      local into = required:byte(-1) == 124 and rings or list
      into[#into + 1] = required
    end
  end
  return list, rings
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

-- The queues of ready work in which keys take turns, by the keys of the indexes for which they
-- stand: each contains, as one more key, the work without any.
local function queues(lane, rings)
  local found = {}
  for _, required in ipairs(rings) do
    local route = required == "|" and lane or lane .. "|" .. required:sub(1, -2)
    found[keys.routed_index("ready", route)] = "ready:" .. route
  end
  return found
end

-- The index keys that this worker may take from, and the queues with turns.
local function sources(arg)
  local list, names, offered = {}, {}, offer(arg.capabilities)
  for _, lane in ipairs(arg.lanes) do
    if lanes.state(lane) ~= "paused" then
      local routes, required, rings = { lane }, required_of(lane, offered)
      for position = 1, #required do
        routes[position + 1] = lane .. "|" .. required[position]
      end
      local in_turns = arg.kinds:find("f", 1, true) and queues(lane, rings) or {}
      for _, name in pairs(in_turns) do
        names[#names + 1] = name
      end
      for _, route in ipairs(routes) do
        for kind in arg.kinds:gmatch(".") do
          local key = keys.routed_index(index_of[kind], route)
          if in_turns[key] == nil then
            list[#list + 1] = key
          end
        end
      end
    end
  end
  return { keys = list, queues = names }
end

local function before(a, b)
  if a.score ~= b.score then
    return a.score < b.score
  end
  return a.id < b.id
end

-- One list of several, each of which keeps its order: the best of what is next in each.
local function merged(lists, count)
  local found, next_of = {}, {}
  while #found < count do
    local best, from
    for position, rows in ipairs(lists) do
      local row = rows[next_of[position] or 1]
      if row ~= nil and (best == nil or before(row, best)) then
        best, from = row, position
      end
    end
    if best == nil then
      break
    end
    found[#found + 1], next_of[from] = best, (next_of[from] or 1) + 1
  end
  return found
end

-- The rows of several sources, best first.
local function sorted(filled, count)
  local found = {}
  for _, key in ipairs(filled) do
    local flat = redis.call("ZRANGE", key, 0, count - 1, "WITHSCORES")
    for position = 1, #flat, 2 do
      found[#found + 1] = { id = flat[position], score = tonumber(flat[position + 1]) }
    end
  end
  table.sort(found, before)
  return found
end

-- The ids of the best candidates over all sources, best first, and where some may take turns what
-- else is known of each; rows under a live grant come last everywhere.
local function candidates(from, count)
  pending.flush()
  local filled, ids = {}, {}
  for _, key in ipairs(from.keys) do
    local found = redis.call("ZRANGE", key, 0, count - 1)
    if #found > 0 then
      filled[#filled + 1] = key
      ids = found
    end
  end
  -- Most often there is one source, whose order needs no scores.
  if #filled <= 1 and #from.queues == 0 then
    record.prefetch(ids, count)
    return ids
  end
  local lists = { sorted(filled, count) }
  for position, name in ipairs(from.queues) do
    lists[position + 1] = turns.candidates(name, count)
  end
  local found = #lists > 1 and merged(lists, count) or lists[1]
  ids = {}
  for position, candidate in ipairs(found) do
    ids[position] = candidate.id
  end
  record.prefetch(ids, count)
  return ids, found
end

-- Whether the claimable work may start; what its flow, its budgets or its limit keep back is put
-- aside.
local function is_free(x, now_ms)
  if x.f.flow ~= nil and flow.is_over(x) then
    if transition.accepts(x, "withhold") then
      withhold.apply(x, "flow", now_ms)
    else
      cascade.cancel(x, now_ms)
    end
    return false
  elseif x.f.budgets ~= nil and exhaustion.stops(x, now_ms) then
    return false
  end
  return x.f.limit == nil or admission.acquire(x, now_ms)
end

-- Takes the row of one that is gone, or cannot be read, out of wherever it was found.
local function take_away(id, from, candidate)
  for _, key in ipairs(from.keys) do
    pending.remove_row(key, id)
  end
  if candidate ~= nil and candidate.share ~= nil then
    transition.leave_turns(candidate.turns, candidate.share, id)
  end
end

-- Gives the work to the worker if it can have it: not what ends because its time is over, nor what
-- is put aside. Returns whether it was dropped.
local function try_grant(x, candidate, lease_id, rows, arg, now_ms, now_us)
  -- A deadline may have passed while it waited.
  if due.apply(x, now_ms) then
    return true
  elseif not transition.accepts(x, "claim") then
    return false
  elseif not is_free(x, now_ms) then
    return true
  end
  lease.grant(x, lease_id, arg, now_ms, now_us)
  lease.hand_out(rows, x, arg.count)
  if candidate ~= nil and candidate.share ~= nil then
    turns.took(candidate.turns, candidate.share)
  end
  return false
end

-- The same for whatever is found under an id.
local function try_candidate(id, candidate, from, rows, arg, now_ms, now_us)
  local lease_id = arg.lease_id .. "." .. digits.of(rows.count + 1)
  if candidate == nil and plain.grant(rows, id, lease_id, arg, now_ms, now_us) then
    return false
  end
  local x = quarantine.load(id)
  if x == nil then
    take_away(id, from, candidate)
    return true
  end
  return x.f.grant_until == nil and try_grant(x, candidate, lease_id, rows, arg, now_ms, now_us)
end

-- Gives the best of these to the worker. Returns how many it could not have.
local function grant(from, rows, arg, now_ms, now_us)
  local dropped = 0
  local ids, known = candidates(from, arg.count - rows.count)
  for position, id in ipairs(ids) do
    if rows.count == arg.count then
      break
    end
    local candidate = known and known[position] or nil
    if try_candidate(id, candidate, from, rows, arg, now_ms, now_us) then
      dropped = dropped + 1
    end
  end
  return dropped
end

-- Returns what was claimed, and whether there may be more. As long as there is work that the worker
-- cannot have, it looks behind it, and at what that has set free.
local function take(arg, now_ms, now_us)
  local rows, dropped, units = claimed.rows(), 0, limits.work_per_call
  repeat
    units = backlog.run(now_ms, units)
    admission.run(now_ms)
    local dropped_now = grant(sources(arg), rows, arg, now_ms, now_us)
    dropped = dropped + dropped_now
  until rows.count == arg.count or dropped_now == 0 or dropped >= limits.withheld_per_call
  return rows, dropped >= limits.withheld_per_call
end

return op.define({
  name = "lease.claim",
  events = { "claim", "withhold", "admit", "exhaust" },
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
    if rows.count > 0 then
      return op.outcome("claimed", { rows = rows, replayed = true })
    end
    if op.first("promote") then
      due.promote(now_ms, limits.promote_per_call)
    end
    local more
    rows, more = take(arg, now_ms, now_us)
    if rows.count > 0 then
      return op.outcome("claimed", { rows = rows, replayed = false })
    end
    pending.flush()
    forget_empty_routes(arg)
    if arg.sleep_ms then
      for _, lane in ipairs(arg.lanes) do
        wake.sleep(lane, now_ms + arg.sleep_ms)
      end
    end
    return op.outcome("empty", { next_at = more and now_ms or due.next_at(now_ms), now = now_ms })
  end,
})
