-- Writes what a plan adds to a flow; nothing in here can be refused any more.
local dependents = require("lib.dependents")
local flow = require("lib.flow")
local group = require("lib.group")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local leaves = require("generated.lifecycle")
local limits = require("generated.limits")
local pending = require("lib.pending")
local record = require("lib.record")
local submission = require("lib.submission")

local graph = {}

local function join_of(plan, id)
  local join = plan.joins[id]
  if join == nil then
    return { policy = "all" }
  end
  return {
    policy = join.policy,
    k = join.k or nil,
    remaining = join.remaining or nil,
    impossible = join.impossible or nil,
    collect = join.collect or nil,
  }
end

-- Who is to wait for its edges has them counted; whoever runs already begins another round.
local function prepare_parent(plan)
  local x = plan.parent
  if x == nil or not plan.counts[x.id] then
    return
  end
  local g = group.load(x.id)
  if hashes.get(g, "state") == nil then
    group.create(x.id, { sealed = 1 })
  end
  if hashes.get(g, "dynamic") == nil then
    group.become_parent(g)
  else
    group.next_round(g)
  end
  record.set(x, "has_up", 1)
end

-- A parent that belonged to no flow belongs to this one from now on.
local function adopt(plan)
  if not plan.adopts then
    return
  end
  local x = plan.parent
  record.set(x, "flow", plan.flow.id)
  pending.add_row(keys.members(plan.flow.id), x.id, 0)
  hashes.add(plan.flow, "members", 1)
  hashes.add(plan.flow, leaves[x.f.state].public, 1)
end

local function add_member(plan, member, has_down, now_ms)
  local x = record.new(member.id)
  local waits = member.hold or plan.counts[member.id] ~= nil or plan.joins[member.id] ~= nil
  record.set(x, "flow", plan.flow.id)
  record.set(x, "large", #member.input > limits.inline_input_bytes and 1 or nil)
  record.set(x, "deps", waits and 1 or nil)
  record.set(x, "has_up", waits and 1 or nil)
  record.set(x, "has_down", has_down and 1 or nil)
  if waits then
    group.create(member.id, join_of(plan, member.id), true)
  end
  pending.add_row(keys.members(plan.flow.id), member.id, 0)
  submission.accept(x, member, member.checked, now_ms)
end

local function add_members(plan, now_ms)
  local feeds = {}
  for _, edge in ipairs(plan.edges) do
    feeds[edge.upstream] = true
  end
  hashes.add(plan.flow, "members", #plan.added)
  for _, member in ipairs(plan.added) do
    add_member(plan, member, feeds[member.id], now_ms)
    feeds[member.id] = nil
  end
  for id in pairs(feeds) do
    record.set(plan.found[id], "has_down", 1)
    record.save(plan.found[id])
  end
end

local function add_edges(plan, now_ms)
  for _, edge in ipairs(plan.edges) do
    local g = group.load(edge.downstream)
    group.link(g, edge.upstream, edge.kind:sub(1, 1), edge.name or "", now_ms)
    local added = group.edge(g, edge.upstream)
    group.cast(g, added, dependents.vote_now(added.kind, plan.found[edge.upstream]))
  end
  hashes.add(plan.flow, "edges", #plan.edges)
end

-- Members, edges and seals, then what is decided by them already.
function graph.apply(plan, now_ms)
  prepare_parent(plan)
  adopt(plan)
  add_members(plan, now_ms)
  if plan.parent ~= nil then
    record.save(plan.parent)
  end
  add_edges(plan, now_ms)
  for id, rank in pairs(plan.ranks) do
    if rank > 0 then
      hashes.set(group.load(id), "rank", rank)
    end
  end
  for _, id in ipairs(plan.sealed) do
    local g = group.load(id)
    hashes.set(g, "sealed", 1)
    dependents.settle(g, now_ms)
  end
  if plan.is_change then
    hashes.add(plan.flow, "revision", 1)
    hashes.set(plan.flow, "updated_at", now_ms)
  end
end

-- Lets the flow end once all its members have.
function graph.seal(h, now_ms)
  if hashes.get(h, "sealed") == nil then
    hashes.set(h, "sealed", 1)
    hashes.add(h, "revision", 1)
    flow.decide(h, now_ms)
  end
end

return graph
