-- The inbound edges of one execution: their votes, and what they decide.
--
-- One hash holds the group: its own fields, and as an entry for each upstream, by its id, the words
-- of the edge: kind, vote, place among the inbound edges, place among the upstream's outbound ones,
-- the time at which it was made, and its name.
local corruption = require("lib.corruption")
local hashes = require("lib.hashes")
local keys = require("lib.keys")

local group = {}

local states = { pending = true, satisfied = true, impossible = true, closed = true }

-- The group of an execution; one without any edge has no state.
function group.load(id)
  local g = hashes.open(keys.group(id))
  local state = hashes.get(g, "state")
  if state ~= nil and not states[state] then
    corruption.tell(g.key, "state", "is unknown")
  end
  g.id = id
  return g
end

-- Begins the group of an execution that has none. `is_new` says that the execution is new too.
function group.create(id, values, is_new)
  local g = is_new and hashes.fresh(keys.group(id)) or group.load(id)
  g.id = id
  for name, value in pairs(values) do
    hashes.set(g, name, value)
  end
  hashes.set(g, "state", "pending")
  return g
end

local edge_pattern = "^(%l) (%l) (%d+) (%d+) (%d+) (%S*)$"

-- The edge from an upstream, or nil when there is none.
function group.edge(g, upstream)
  local text = hashes.entry(g, upstream)
  if text == nil then
    return nil
  end
  local kind, vote, inbound, outbound, created_at, name = text:match(edge_pattern)
  if kind == nil then
    corruption.tell(g.key, upstream, "does not parse")
  end
  return {
    upstream = upstream,
    kind = kind,
    vote = vote,
    inbound = inbound,
    outbound = outbound,
    created_at = created_at,
    name = name,
  }
end

local function save_edge(g, e)
  local words = { e.kind, e.vote, e.inbound, e.outbound, e.created_at, e.name }
  hashes.set_entry(g, e.upstream, table.concat(words, " "))
end

-- Adds an edge without a vote.
function group.link(g, upstream, kind, name, now_ms)
  local inbound = redis.call("RPUSH", keys.upstreams(g.id), upstream) - 1
  local outbound = redis.call("RPUSH", keys.downstreams(upstream), g.id) - 1
  save_edge(g, {
    upstream = upstream,
    kind = kind,
    vote = "u",
    inbound = string.format("%.0f", inbound),
    outbound = string.format("%.0f", outbound),
    created_at = string.format("%.0f", now_ms),
    name = name,
  })
  hashes.add(g, "n", 1)
end

-- Nobody waits for its edges any more, decided or not. Returns whether to look at its upstreams.
function group.close(g)
  if hashes.get(g, "state") == "pending" then
    hashes.set(g, "state", "closed")
  end
  return hashes.get(g, "watched") ~= nil
end

-- The group in words, as readers get it: how it is joined, how it stands, its counts.
function group.words(g)
  local words = {}
  for position, name in ipairs({ "policy", "state", "k", "remaining", "impossible", "collect" }) do
    words[position] = tostring(hashes.get(g, name) or "")
  end
  for _, name in ipairs({ "n", "s", "f", "x" }) do
    words[#words + 1] = string.format("%.0f", hashes.number(g, name))
  end
  words[#words + 1] = hashes.get(g, "sealed") ~= nil and "sealed" or ""
  return table.concat(words, " ")
end

-- What an edge says once its upstream has ended so.
function group.vote_for(kind, public)
  if kind == "c" or public == "completed" then
    return "s"
  end
  return public == "skipped" and "x" or "f"
end

-- From now on the group is about what the execution adds itself; what it came after has no say.
function group.become_parent(g)
  hashes.set(g, "dynamic", 1)
  hashes.set(g, "children_from", redis.call("LLEN", keys.upstreams(g.id)))
  for _, name in ipairs({ "n", "s", "f", "x", "k", "remaining" }) do
    hashes.set(g, name, nil)
  end
  hashes.set(g, "state", "pending")
  hashes.set(g, "policy", "all")
  hashes.set(g, "impossible", "resume")
  hashes.set(g, "collect", "all")
end

-- Keeps the vote of an edge, and counts it for the one before where it has a say.
function group.cast(g, edge, vote)
  if edge.vote == vote then
    return
  end
  if tonumber(edge.inbound) >= hashes.number(g, "children_from") then
    if edge.vote ~= "u" then
      hashes.add(g, edge.vote, -1)
    end
    if vote ~= "u" then
      hashes.add(g, vote, 1)
    end
  end
  edge.vote = vote
  save_edge(g, edge)
end

-- Puts counts and votes as they were found anew.
function group.restore(g, votes, counts)
  for upstream, vote in pairs(votes) do
    local edge = group.edge(g, upstream)
    if edge.vote ~= vote then
      edge.vote = vote
      save_edge(g, edge)
    end
  end
  for name, count in pairs(counts) do
    hashes.set(g, name, count ~= 0 and count or nil)
  end
  hashes.set(g, "later_round", nil)
  hashes.set(g, "state", "pending")
end

-- Begins a new round of a parent's waiting, unless one has begun: only what it has not seen yet
-- counts. Whoever runs may still want what a join before did not need: no later round cancels it.
function group.next_round(g)
  if hashes.get(g, "state") == "pending" then
    return
  end
  -- Which round a vote belongs to is not kept: from here on none is taken back.
  hashes.set(g, "later_round", 1)
  local seen = hashes.number(g, "s") + hashes.number(g, "f") + hashes.number(g, "x")
  hashes.add(g, "n", -seen)
  for _, name in ipairs({ "s", "f", "x", "remaining" }) do
    hashes.set(g, name, nil)
  end
  hashes.set(g, "state", "pending")
end

local function counts_of(g)
  return {
    n = hashes.number(g, "n"),
    s = hashes.number(g, "s"),
    f = hashes.number(g, "f"),
    x = hashes.number(g, "x"),
  }
end

-- What such counts decide: "satisfied", "impossible" or "pending".
function group.judge(g, counts)
  local lost = counts.f + counts.x
  local policy = hashes.get(g, "policy")
  if policy == "all" then
    if counts.s == counts.n then
      return "satisfied"
    end
    local is_first = hashes.get(g, "collect") ~= "all"
    local is_decided = lost > 0 and (is_first or counts.s + lost == counts.n)
    return is_decided and "impossible" or "pending"
  end
  local k = policy == "any" and 1 or hashes.number(g, "k")
  if counts.n == 0 or counts.s >= k then
    return "satisfied"
  end
  return lost > counts.n - k and "impossible" or "pending"
end

function group.verdict(g)
  return group.judge(g, counts_of(g))
end

return group
