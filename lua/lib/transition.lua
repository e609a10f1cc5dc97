-- The only writer of state fields and of index membership.
local backlog = require("lib.backlog")
local feed = require("lib.feed")
local flow = require("lib.flow")
local group = require("lib.group")
local keys = require("lib.keys")
local leases = require("lib.leases")
local lifecycle = require("generated.lifecycle")
local limits = require("generated.limits")
local pending = require("lib.pending")
local record = require("lib.record")
local sources = require("generated.sources")
local slots = require("lib.slots")
local turns = require("lib.turns")
local waiters = require("lib.waiters")
local wake = require("lib.wake")

local transition = {}

-- Indexes that claims read: one per lane and set of required capabilities.
local routed = { ready = true, resumed = true, reclaimable = true }

local function leaf_of(x)
  return lifecycle[x.f.state or "absent"]
end

-- Whether the lifecycle accepts the event now.
function transition.accepts(x, event)
  return leaf_of(x).on[event] ~= nil
end

-- Moves the execution by the event under the facts that hold; an event that its leaf does not
-- know is a bug of the calling operation, which must have refused before.
function transition.apply(x, event, facts)
  local leaf = leaf_of(x)
  local candidates = leaf.on[event]
  if candidates == nil then
    error("HOLDFAST_BUG " .. (x.f.state or "absent") .. " does not accept " .. event)
  end
  if x.left == nil then
    x.left = leaf
  end
  x.event = event
  for position = 1, #candidates do
    local candidate = candidates[position]
    if candidate.fact == nil or facts[candidate.fact] then
      record.set(x, "state", candidate.target)
      return candidate.target
    end
  end
end

function transition.route(x)
  local capabilities = x.f.capabilities
  if capabilities == nil then
    return x.f.lane
  end
  return x.f.lane .. "|" .. capabilities
end

local function index_key(index, x)
  if routed[index] then
    return keys.routed_index(index, transition.route(x))
  end
  return keys.index(index)
end

local function queue_of(x)
  return "ready:" .. transition.route(x)
end

-- How a route is listed in which keys take turns.
local function ring_of(x)
  return (x.f.capabilities or "") .. "|"
end

-- Takes a row out of the queue of a key, by the name of the queue; an empty key stands for the work
-- without any.
function transition.leave_turns(queue, share, id)
  if share == "" then
    pending.remove_row(keys.queue(queue), id)
    return
  end
  local _, is_over = turns.remove(queue, share, id)
  if is_over then
    local lane, capabilities = queue:match("^ready:([^|]*)|?(.*)$")
    redis.call("SREM", keys.routes(lane), capabilities .. "|")
  end
end

-- Ready work of a key stands in a queue in which the keys of its route take turns.
local function leave(x, index)
  if x.f.share == nil or index ~= "ready" then
    pending.remove_row(index_key(index, x), x.id)
  else
    transition.leave_turns(queue_of(x), x.f.share, x.id)
  end
end

local function enter_turns(x, at_ms)
  local _, is_first = turns.add(queue_of(x), x.f.share, x.id, at_ms)
  if is_first then
    redis.call("SADD", keys.routes(x.f.lane), ring_of(x))
  end
end

local function earliest(a, b)
  if a == nil or (b ~= nil and b < a) then
    return b
  end
  return a
end

local score_of = {
  -- Higher priority first, then older first; a live grant takes the row out of everybody's way.
  claimable = function(x)
    if x.f.grant_until ~= nil then
      return limits.granted_score
    end
    return record.need(x, "created_at")
      - (record.number(x, "priority") or 0) * limits.priority_step_ms
  end,
  leased = function(x)
    return earliest(record.need(x, "expires_at"), record.number(x, "attempt_deadline_at"))
  end,
  delayed = function(x)
    return record.need(x, "not_before")
  end,
  suspended = function(x)
    return record.number(x, "wait_until") or limits.no_deadline_score
  end,
  terminal = function(x)
    if x.f.flow ~= nil then
      -- Members stay for as long as their flow does.
      return limits.no_deadline_score
    end
    return record.need(x, "ended_at")
      + (record.number(x, "retention_ms") or limits.retention_default_ms)
  end,
}
score_of.ready = score_of.claimable
score_of.resumed = score_of.claimable
score_of.reclaimable = score_of.claimable

local function score(index, x)
  local rule = score_of[index]
  if rule == nil then
    return record.need(x, "created_at")
  end
  return rule(x)
end

-- Times that are not the score of the execution's own index.
local function timer_of(x)
  if leaf_of(x).index == "terminal" then
    return nil
  end
  local at_ms = earliest(record.number(x, "deadline_at"), record.number(x, "grant_until"))
  at_ms = earliest(at_ms, record.number(x, "permit_until"))
  return earliest(at_ms, record.number(x, "wait_until"))
end

-- Returns whether there is one now.
local function save_timer(x, at_ms)
  if at_ms == nil then
    pending.remove_row(keys.timers(), x.id)
    return false
  end
  pending.add_row(keys.timers(), x.id, at_ms)
  return true
end

local function announce(x, index, at_ms, now_ms)
  if routed[index] then
    wake.lane(x.f.lane, now_ms)
  elseif index == "leased" or index == "delayed" or index == "suspended" then
    wake.lane(x.f.lane, at_ms)
  end
end

-- What a move means for the flow and for those that depend on the execution.
local function member_moved(x, from, to, now_ms)
  if to.index == "terminal" and x.f.has_down ~= nil then
    backlog.push("resolve " .. x.id .. " " .. (x.f.replays or "0") .. " 0")
  end
  if to.index == "terminal" and x.f.has_up ~= nil and group.close(group.load(x.id)) then
    backlog.push("spare " .. x.id .. " 0")
  end
  flow.moved(x, from, to, now_ms)
end

-- Writes the execution and moves or rescores its index row. From the first write on nothing in here
-- can fail.
function transition.commit(x, now_ms)
  record.set(x, "updated_at", now_ms)
  local leaf = leaf_of(x)
  local left = x.left or leaf
  local at_ms, timed = score(leaf.index, x), x.timed or record.timed(x.f)
  if x.f.limit ~= nil then
    -- A slot that is given back takes its time with it.
    slots.follow(x, leaf.index, score_of.claimable(x))
  end
  local timer_at = timed and timer_of(x) or nil
  record.save(x)
  if left.index ~= "none" and left.index ~= leaf.index then
    leave(x, left.index)
  end
  if x.f.budgets ~= nil and left.index == "blocked" and leaf.index ~= "blocked" then
    waiters.leave(x)
  end
  if left.index == "leased" and leaf.index ~= "leased" then
    -- Only a live lease is found by its id; its fields stay, as those of the last one.
    leases.leave(x.f.lease_id)
    if sources[x.event] ~= "worker" then
      -- Its holder did not give it back and works on until it is told.
      wake.lost(x.id, x.f.epoch or 0, x.event)
    end
  end
  if x.f.share ~= nil and leaf.index == "ready" then
    enter_turns(x, at_ms)
  else
    pending.add_row(index_key(leaf.index, x), x.id, at_ms)
    if routed[leaf.index] and x.f.capabilities ~= nil then
      redis.call("SADD", keys.routes(x.f.lane), x.f.capabilities)
    end
  end
  if timed then
    x.timed = save_timer(x, timer_at)
  end
  announce(x, leaf.index, at_ms, now_ms)
  x.left = nil
  local event = x.event
  if event ~= nil then
    x.event = nil
    feed.moved(x, event)
  end
  if x.f.flow ~= nil and left ~= leaf then
    member_moved(x, left, leaf, now_ms)
  end
end

-- Forgets an execution in its own index, the listing and the timers.
function transition.remove(x)
  pending.remove_row(index_key(leaf_of(x).index, x), x.id)
  pending.remove_row(keys.executions(), x.id)
end

return transition
