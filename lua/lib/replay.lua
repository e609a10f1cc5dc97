-- Running ended executions again: one, or with all that was given up because of it.
local backlog = require("lib.backlog")
local dependents = require("lib.dependents")
local flow = require("lib.flow")
local gates = require("lib.gates")
local group = require("lib.group")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local lease = require("lib.lease")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")
local values = require("lib.values")

local replay = {}

-- Votes and counts of a group as its upstreams stand now.
local function recount(g)
  local votes, counts = {}, { n = 0, s = 0, f = 0, x = 0 }
  for _, id in ipairs(redis.call("LRANGE", keys.upstreams(g.id), 0, -1)) do
    local vote = dependents.vote_now(group.edge(g, id).kind, record.load(id))
    votes[id] = vote
    counts.n = counts.n + 1
    if vote ~= "u" then
      counts[vote] = counts[vote] + 1
    end
  end
  return votes, counts
end

-- What the inbound edges say to running again, or nil when they have no say: a parent's own
-- children do not hold it.
local function verdict_of(x)
  if x.f.has_up == nil then
    return nil
  end
  local g = group.load(x.id)
  if hashes.get(g, "dynamic") ~= nil then
    return nil
  end
  local votes, counts = recount(g)
  -- Held work may not run before somebody has sealed its edges, however it ended.
  local says = hashes.get(g, "sealed") ~= nil and group.judge(g, counts) or "pending"
  if says == "impossible" and hashes.get(g, "impossible") == "resume" then
    -- It starts all the same, as it did the first time.
    says = "resumed"
  end
  return { group = g, votes = votes, counts = counts, says = says }
end

-- A refusal when the execution cannot run again, else nil and what its edges say.
local function check(x, reopens)
  if not transition.accepts(x, "replay") then
    return op.refuse("execution_not_terminal", { state = x.f.state })
  end
  local replays = record.number(x, "replays") or 0
  if replays >= limits.replays_max then
    return op.refuse("max_replays_exhausted", { replays = replays })
  end
  if x.f.flow ~= nil then
    local h = flow.of(x)
    local state = flow.state(h)
    local is_closed = state == "cancelled" or (state ~= "open" and not reopens)
    if is_closed or hashes.get(h, "retiring") ~= nil then
      return op.refuse("flow_ended", { flow = h.id, state = state })
    end
  end
  local verdict = verdict_of(x)
  if verdict ~= nil and verdict.says == "impossible" then
    return op.refuse("dependency_failed", { execution = x.id })
  end
  return nil, verdict
end

local cleared = { "class", "ended_at", "progress", "reason", "reclaims", "retries" }

-- What of the flow and the edges changes before the execution is placed anew.
local function rejoin(x, verdict, now_ms)
  local h = flow.of(x)
  flow.reopen(h, now_ms)
  if x.f.reason == "no_longer_needed" then
    hashes.add(h, "spared", -1)
  end
  if verdict ~= nil then
    local g = verdict.group
    group.restore(g, verdict.votes, verdict.counts)
    if verdict.says ~= "pending" then
      hashes.set(g, "state", verdict.says == "resumed" and "impossible" or verdict.says)
      if hashes.get(g, "remaining") == "cancel" then
        backlog.push("spare " .. g.id .. " 0")
      end
    else
      record.set(x, "deps", 1)
    end
  end
end

local function perform(x, replay_id, verdict, now_ms)
  local how = x.f.state:match("^terminal%.(%l+)$")
  if x.f.flow ~= nil then
    rejoin(x, verdict, now_ms)
  end
  transition.apply(x, "replay", gates.facts(x, now_ms))
  if x.f.attempt ~= nil then
    lease.log_last_attempt(x, how)
    record.set(x, "replaying", 1)
  end
  for _, field in ipairs(cleared) do
    record.set(x, field, nil)
  end
  record.set(x, "replays", (record.number(x, "replays") or 0) + 1)
  record.set(x, "replay_id", replay_id)
  if (record.number(x, "deadline_at") or now_ms) <= now_ms then
    record.set(x, "deadline_at", nil)
  end
  if x.f.noted ~= nil then
    record.set(x, "noted", nil)
    values.remove(keys.note(x.id))
  end
  values.remove(keys.ending(x.id))
  transition.commit(x, now_ms)
end

-- Runs an execution again. `reach` says what becomes of those that depend on it: "take_back" its
-- vote, or "rerun" also what was given up because of it.
function replay.run(arg, reach, now_ms)
  local x = record.load(arg.id)
  if x == nil then
    return op.refuse("execution_not_found", {})
  end
  if x.f.replay_id == arg.replay_id then
    -- The same request again, after its answer was lost.
    local replays = x.f.replays
    return op.outcome("replayed", { state = x.f.state, replays = replays, repeated = true })
  end
  local refusal, verdict = check(x, reach == "rerun" or arg.reopen)
  if refusal ~= nil then
    return refusal
  end
  perform(x, arg.replay_id, verdict, now_ms)
  if x.f.has_down ~= nil then
    backlog.push("recount " .. x.id .. " 0 " .. reach)
  end
  local replays = x.f.replays
  return op.outcome("replayed", { state = x.f.state, replays = replays, repeated = false })
end

-- Runs again what was given up because of a dependency, unless another one still stands against it.
local function rerun(x, replay_id, now_ms)
  local refusal, verdict = check(x, true)
  if refusal == nil then
    perform(x, replay_id, verdict, now_ms)
    if x.f.has_down ~= nil then
      backlog.push("recount " .. x.id .. " 0 rerun")
    end
  end
end

-- What the edge from an upstream that runs again says now. The votes of others are theirs to take
-- back.
local function take_back(x, upstream, now_ms)
  local g = group.load(x.id)
  local is_parent = hashes.get(g, "dynamic") ~= nil or hashes.get(g, "later_round") ~= nil
  if hashes.get(g, "state") == "pending" and not is_parent then
    local edge = group.edge(g, upstream.id)
    group.cast(g, edge, dependents.vote_now(edge.kind, upstream))
    dependents.settle(g, now_ms)
  end
end

-- recount <upstream> <place> <reach>: those that depend on an execution that runs again.
local function recount_dependents(words, now_ms)
  local upstream = record.load(words[2])
  if upstream == nil then
    return 1
  end
  return dependents.walk(keys.downstreams(upstream.id), words, 3, function(id)
    local x = record.load(id)
    if x == nil then
      return
    elseif x.f.ended_at == nil then
      take_back(x, upstream, now_ms)
    elseif words[4] == "rerun" and x.f.reason == "dependency_failed" then
      rerun(x, upstream.f.replay_id, now_ms)
      -- All that it depends on is looked at.
      return 1 + hashes.number(group.load(id), "n")
    end
  end)
end

backlog.handle("recount", recount_dependents)

return replay
