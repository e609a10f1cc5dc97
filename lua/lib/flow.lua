-- Flows: what a graph of executions has come to, kept exact with every move of a member.
local backlog = require("lib.backlog")
local corruption = require("lib.corruption")
local feed = require("lib.feed")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local limits = require("generated.limits")
local pending = require("lib.pending")
local record = require("lib.record")

local flow = {}

local states = { open = true, completed = true, failed = true, cancelled = true }

-- A flow that need not be there: nothing of it is stored before `create`.
function flow.open(id)
  local h = hashes.open(keys.flow(id))
  h.id = id
  return h
end

-- The flow, or nil when there is none.
function flow.load(id)
  local h = flow.open(id)
  local state = hashes.get(h, "state")
  if state == nil then
    return nil
  elseif not states[state] then
    corruption.tell(h.key, "state", "is unknown")
  end
  return h
end

-- The flow of a member, looked up once for each time that the member is loaded.
function flow.of(x)
  local h = x.flow
  if h == nil then
    h = flow.load(x.f.flow) or corruption.tell(keys.flow(x.f.flow), "state", "is missing")
    x.flow = h
  end
  return h
end

local wishes = { "kind", "failure", "completion", "root", "retention_ms" }

-- Whether a caller says anything of how a flow begins.
function flow.is_told(arg)
  for _, name in ipairs(wishes) do
    if arg[name] then
      return true
    end
  end
  return arg.tags ~= false
end

-- The first of a caller's wishes that the flow does not fulfil, or nil.
function flow.differs(h, arg)
  for _, name in ipairs(wishes) do
    local wished = arg[name] and tostring(arg[name]) or nil
    local stored = hashes.get(h, name)
    if wished ~= (stored and tostring(stored)) then
      return name
    end
  end
  if (redis.call("GET", keys.flow_tags(h.id)) or nil) ~= (arg.tags or nil) then
    return "tags"
  end
end

function flow.create(h, arg, now_ms)
  for _, name in ipairs(wishes) do
    hashes.set(h, name, arg[name] or nil)
  end
  if arg.tags then
    redis.call("SET", keys.flow_tags(h.id), arg.tags)
  end
  hashes.set(h, "state", "open")
  hashes.set(h, "created_at", now_ms)
  hashes.set(h, "updated_at", now_ms)
  pending.add_row(keys.flows(), h.id, 0)
end

function flow.state(h)
  return hashes.get(h, "state")
end

-- How many members have not ended.
function flow.unfinished(h)
  return hashes.number(h, "members")
    - hashes.number(h, "completed")
    - hashes.number(h, "failed")
    - hashes.number(h, "cancelled")
    - hashes.number(h, "expired")
    - hashes.number(h, "skipped")
end

local function outcome(h)
  local root = hashes.get(h, "root")
  if hashes.get(h, "completion") == "root" and root ~= nil then
    local x = record.load(root)
    return x ~= nil and x.f.state == "terminal.completed" and "completed" or "failed"
  end
  local bad = hashes.number(h, "failed") + hashes.number(h, "expired")
  bad = bad + hashes.number(h, "cancelled") - hashes.number(h, "spared")
  return bad > 0 and "failed" or "completed"
end

-- Ends the flow; members that are left are somebody else's to end.
function flow.finish(h, state, reason, now_ms)
  hashes.set(h, "state", state)
  hashes.set(h, "reason", reason)
  hashes.set(h, "ended_at", now_ms)
  hashes.set(h, "updated_at", now_ms)
  feed.flow(h.id, "endFlow", state, reason)
end

-- A flow that is about its root is kept for as long as that wishes.
local function retention_ms(h)
  if hashes.get(h, "retention_ms") ~= nil then
    return hashes.number(h, "retention_ms")
  end
  local root = hashes.get(h, "completion") == "root" and hashes.get(h, "root")
  local x = root and record.load(root)
  return x and record.number(x, "retention_ms") or limits.retention_default_ms
end

-- Ends an open, sealed flow whose members have all ended. An ended one is kept from then on for
-- its retention.
function flow.decide(h, now_ms)
  if flow.unfinished(h) > 0 then
    return
  end
  if flow.state(h) == "open" then
    if hashes.get(h, "sealed") == nil or hashes.number(h, "members") == 0 then
      return
    end
    flow.finish(h, outcome(h), nil, now_ms)
  end
  local purge_at = now_ms + retention_ms(h)
  hashes.set(h, "purge_at", purge_at)
  pending.add_row(keys.flow_ends(), h.id, purge_at)
end

local function is_bad(x, public)
  if public == "cancelled" then
    return x.f.reason ~= "no_longer_needed"
  end
  return public == "failed" or public == "expired"
end

local function member_ended(h, x, public, now_ms)
  if public == "cancelled" and x.f.reason == "no_longer_needed" then
    hashes.add(h, "spared", 1)
  end
  if flow.state(h) == "open" and hashes.get(h, "failure") == "fail_fast" and is_bad(x, public) then
    flow.finish(h, "failed", "member_failed", now_ms)
    flow.doom(h, "cancel_all")
  end
  flow.decide(h, now_ms)
end

-- Counts a member's move between two leaves of the lifecycle.
function flow.moved(x, from, to, now_ms)
  local h = flow.of(x)
  if from.index ~= "none" then
    hashes.add(h, from.public, -1)
  end
  hashes.add(h, to.public, 1)
  hashes.set(h, "updated_at", now_ms)
  if to.index == "terminal" then
    member_ended(h, x, to.public, now_ms)
  elseif flow.dooms(h, x) then
    backlog.push("doomed " .. x.id)
  end
end

-- Lets a cascade cancel what the policy says.
function flow.doom(h, policy)
  hashes.set(h, "cancel_policy", policy)
  hashes.set(h, "cancelling", 1)
  backlog.push("cascade " .. h.id .. " " .. policy)
end

-- Whether the flow's end means the end of this unfinished member.
function flow.dooms(h, x)
  local policy = hashes.get(h, "cancel_policy")
  return policy == "cancel_all" or (policy == "cancel_pending" and x.f.state ~= "leased.held")
end

-- Whether the member's flow wants its work to end: nothing of it is tried again.
function flow.bars_retry(x)
  local policy = hashes.get(flow.of(x), "cancel_policy")
  return policy ~= nil and policy ~= "flow_only"
end

-- Whether the member's flow was cancelled or has failed: nothing of it may start.
function flow.is_over(x)
  return hashes.get(flow.of(x), "cancel_policy") ~= nil
end

-- Makes an ended flow open again because a member is run again.
function flow.reopen(h, now_ms)
  if flow.state(h) ~= "open" then
    hashes.set(h, "state", "open")
    hashes.set(h, "reason", nil)
    hashes.set(h, "ended_at", nil)
    hashes.set(h, "cancel_policy", nil)
    hashes.set(h, "cancelling", nil)
    feed.flow(h.id, "reopenFlow", "open", nil)
  end
  hashes.set(h, "updated_at", now_ms)
  hashes.set(h, "purge_at", nil)
  pending.remove_row(keys.flow_ends(), h.id)
end

return flow
