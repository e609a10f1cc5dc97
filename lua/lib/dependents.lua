-- What the end of an execution means for those that wait for it.
local backlog = require("lib.backlog")
local cascade = require("lib.cascade")
local finish = require("lib.finish")
local flow = require("lib.flow")
local gates = require("lib.gates")
local group = require("lib.group")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local leaves = require("generated.lifecycle")
local limits = require("generated.limits")
local record = require("lib.record")
local transition = require("lib.transition")

local dependents = {}

-- What everybody sees of an execution, such as "completed".
function dependents.public(x)
  return leaves[x.f.state].public
end

-- The upstream's vote as it stands now: "u" while it has not ended.
function dependents.vote_now(kind, upstream)
  if upstream == nil or upstream.f.ended_at == nil then
    return "u"
  end
  return group.vote_for(kind, dependents.public(upstream))
end

local function open_gate(x, now_ms)
  record.set(x, "deps", nil)
  if transition.accepts(x, "childrenSettled") then
    transition.apply(x, "childrenSettled", gates.facts(x, now_ms))
  end
  transition.commit(x, now_ms)
end

local function close(x, event, now_ms)
  transition.apply(x, event, {})
  finish.commit(x, "dependency_failed", nil, now_ms)
end

-- What happens to the execution when its group can no longer be satisfied. Whoever has begun is
-- never skipped: it goes on and sees what failed.
local function give_up(x, g, now_ms)
  local wish = hashes.get(g, "impossible") or "skip"
  if wish == "fail" then
    close(x, "dependencyFailed", now_ms)
  elseif wish == "skip" and x.f.parked == nil then
    close(x, "skip", now_ms)
  else
    open_gate(x, now_ms)
  end
end

-- Decides a sealed, pending group whose execution waits for it.
function dependents.settle(g, now_ms)
  if hashes.get(g, "state") ~= "pending" or hashes.get(g, "sealed") == nil then
    return
  end
  local x = record.load(g.id)
  local verdict = x.f.deps ~= nil and group.verdict(g) or "pending"
  if verdict == "pending" then
    return
  elseif flow.dooms(flow.of(x), x) then
    -- Whether the votes or the cascade come first must not matter.
    cascade.cancel(x, now_ms)
    return
  end
  hashes.set(g, "state", verdict)
  if verdict == "satisfied" then
    open_gate(x, now_ms)
  else
    give_up(x, g, now_ms)
  end
  if hashes.get(g, "remaining") == "cancel" or hashes.get(g, "watched") ~= nil then
    backlog.push("spare " .. g.id .. " 0")
  end
end

-- Does the same for a bounded part of a list, from the place that is the word at `position`; the
-- rest is left for later. Returns how much it was.
local function walk(key, words, position, act)
  local from, most = tonumber(words[position]), limits.graph_chunk
  local found = redis.call("LRANGE", key, from, from + most)
  local has_more = #found > most
  if has_more then
    found[#found] = nil
  end
  return backlog.each(found, most, act, function(count)
    if has_more or count < #found then
      words[position] = string.format("%.0f", from + count)
      backlog.push(table.concat(words, " "))
    end
  end)
end

-- resolve <upstream> <its replays> <place>: votes on the edges that lead out of an ended execution.
local function resolve(words, now_ms)
  local upstream = record.load(words[2])
  if upstream == nil or upstream.f.ended_at == nil or (upstream.f.replays or "0") ~= words[3] then
    return 1
  end
  return walk(keys.downstreams(upstream.id), words, 4, function(id)
    -- Their flow may be on its way out.
    if not record.exists(id) then
      return
    end
    local g = group.load(id)
    local edge = group.edge(g, upstream.id)
    if edge.vote == "u" then
      group.cast(g, edge, dependents.vote_now(edge.kind, upstream))
    end
    -- Also after a vote that is known: whoever cast it may have met damage right then.
    dependents.settle(g, now_ms)
  end)
end

-- Whether a group was decided without the upstream and wants it cancelled, and no other one still
-- counts on it; that one is looked at again once it is decided. Who feeds too many is left alone.
local function is_spare(upstream)
  local key = keys.downstreams(upstream.id)
  local found = redis.call("LRANGE", key, 0, limits.spared_feeds_max)
  if #found > limits.spared_feeds_max then
    return false
  end
  local is_owed = false
  for _, id in ipairs(found) do
    local g = group.load(id)
    local state = hashes.get(g, "state")
    if state == "pending" then
      hashes.set(g, "watched", 1)
      return false
    end
    local wants = hashes.get(g, "remaining") == "cancel" and state ~= "closed"
    is_owed = is_owed or (wants and group.edge(g, upstream.id).vote == "u")
  end
  return is_owed
end

-- spare <downstream> <place>: cancels the upstreams that nobody needs any more.
local function spare(words, now_ms)
  return walk(keys.upstreams(words[2]), words, 3, function(id)
    local x = record.load(id)
    if x ~= nil and x.f.ended_at == nil then
      local h = flow.of(x)
      if flow.dooms(h, x) then
        cascade.cancel(x, now_ms)
      elseif hashes.get(h, "root") ~= id and is_spare(x) then
        transition.apply(x, "cancelExecution", {})
        x.by = "flow"
        finish.commit(x, "no_longer_needed", nil, now_ms)
      end
    end
  end)
end

backlog.handle("resolve", resolve)
backlog.handle("spare", spare)

dependents.walk = walk

return dependents
