-- Checks what a caller wants to add to a flow, all of it before anything is written.
local exhaustion = require("lib.exhaustion")
local fence = require("lib.fence")
local flow = require("lib.flow")
local graph_order = require("lib.graph_order")
local group = require("lib.group")
local hashes = require("lib.hashes")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local submission = require("lib.submission")

local graph_plan = {}

local function invalid(argument, why)
  return op.refuse("invalid_input", { argument = argument, why = why })
end

-- The flow that grows: one that is there, or, if its kind is told, one that begins with this.
local function take_flow(plan, arg)
  local h = flow.load(arg.flow)
  if not arg.kind then
    if flow.is_told(arg) then
      return invalid("kind", "is missing")
    end
    plan.flow = h
    return h == nil and op.refuse("flow_not_found", { flow = arg.flow }) or nil
  elseif arg.completion == "root" and not arg.root then
    return invalid("root", "is missing")
  end
  local differing = h ~= nil and flow.differs(h, arg)
  if differing then
    return op.refuse("flow_differs", { argument = differing, flow = arg.flow })
  end
  plan.begins, plan.flow = h == nil, h or flow.open(arg.flow)
end

-- The running parent that adds work under its lease, if one does.
local function take_parent(plan, arg, now_ms)
  if not arg.parent then
    return
  end
  for _, name in ipairs({ "attempt", "lease_id", "epoch" }) do
    if not arg[name] then
      return invalid(name, "is missing")
    end
  end
  local held =
    { id = arg.parent, attempt = arg.attempt, lease_id = arg.lease_id, epoch = arg.epoch }
  local x, refusal = fence.check(held, now_ms)
  if x == nil then
    return refusal
  elseif x.f.flow ~= nil and x.f.flow ~= arg.flow then
    return op.refuse("execution_in_other_flow", { execution = x.id, flow = x.f.flow })
  end
  local budget = #arg.members > 0 and exhaustion.denies_children(x)
  if budget then
    return op.refuse("budget_exhausted", { budget = budget })
  end
  plan.parent, plan.found[x.id] = x, x
  plan.adopts = x.f.flow == nil
end

-- How many members the flow gets: a parent that belongs to no flow becomes one.
local function gain(plan)
  return #plan.added + (plan.adopts and 1 or 0)
end

local function take_members(plan, arg, now_ms)
  for _, member in ipairs(arg.members) do
    if plan.new[member.id] then
      return invalid("members", "name " .. member.id .. " twice")
    end
    -- Most are new, which is asked at less cost.
    local x = record.exists(member.id) and record.load(member.id) or nil
    if x ~= nil and x.f.flow ~= arg.flow then
      return op.refuse("execution_in_other_flow", { execution = x.id, flow = x.f.flow or "" })
    elseif x == nil then
      local checked, refusal = submission.check(member, now_ms)
      if checked == nil then
        return refusal
      end
      member.checked = checked
      plan.new[member.id] = member
      plan.added[#plan.added + 1] = member
    end
  end
  local members = hashes.number(plan.flow, "members") + gain(plan)
  if members > limits.flow_members then
    return op.refuse("graph_too_large", { what = "members", most = limits.flow_members })
  end
end

-- Whether the flow has it, or will have it after this call.
local function is_member(plan, id)
  if plan.new[id] or plan.found[id] then
    return true
  end
  local x = record.load(id)
  if x == nil or x.f.flow ~= plan.flow.id then
    return false
  end
  plan.found[id] = x
  return true
end

-- Whether edges may still be added to what waits there, or a refusal.
local function is_open(plan, id)
  if plan.new[id] or (plan.parent ~= nil and plan.parent.id == id) then
    return true
  elseif not is_member(plan, id) then
    return false, op.refuse("execution_not_in_flow", { execution = id })
  end
  local g = group.load(id)
  if hashes.get(g, "state") == nil or hashes.get(g, "sealed") ~= nil then
    return false, op.refuse("group_sealed", { execution = id })
  end
  return true
end

local function differs(g, join)
  for _, name in ipairs({ "policy", "k", "remaining", "impossible", "collect" }) do
    local wished = join[name] and tostring(join[name]) or nil
    if wished ~= (hashes.get(g, name) and tostring(hashes.get(g, name))) then
      return true
    end
  end
  return false
end

local function take_joins(plan, arg)
  for _, join in ipairs(arg.joins) do
    local id = join.downstream
    if (join.policy == "quorum") ~= (join.k ~= false) then
      return invalid("joins", "need k for a quorum, and only then")
    elseif plan.joins[id] then
      return invalid("joins", "name " .. id .. " twice")
    elseif plan.parent ~= nil and plan.parent.id == id then
      return invalid("joins", "of a running parent come when it waits")
    end
    local g = not plan.new[id] and group.load(id) or nil
    if g == nil or hashes.get(g, "state") == nil then
      local accepted, refusal = is_open(plan, id)
      if not accepted then
        return refusal
      end
      plan.joins[id] = join
    elseif differs(g, join) then
      return op.refuse("group_differs", { execution = id })
    end
  end
end

-- Whether the edge is there already, or a refusal because another one is.
local function is_known(plan, edge)
  if plan.new[edge.downstream] then
    return false
  end
  local known = group.edge(group.load(edge.downstream), edge.upstream)
  if known == nil then
    return false
  elseif known.kind == edge.kind:sub(1, 1) and known.name == (edge.name or "") then
    return true
  end
  return true, op.refuse("edge_exists", { upstream = edge.upstream, downstream = edge.downstream })
end

local function take_edge(plan, edge, pairs_seen)
  if edge.upstream == edge.downstream then
    return op.refuse("graph_cycle", { cycle = edge.upstream .. "," .. edge.upstream })
  end
  local pair = edge.upstream .. edge.downstream
  if pairs_seen[pair] then
    return invalid("edges", "name " .. edge.upstream .. " and " .. edge.downstream .. " twice")
  end
  pairs_seen[pair] = true
  if not is_member(plan, edge.upstream) then
    return op.refuse("execution_not_in_flow", { execution = edge.upstream })
  end
  local known, refusal = is_known(plan, edge)
  if not known then
    known, refusal = is_open(plan, edge.downstream)
    if known then
      plan.edges[#plan.edges + 1] = edge
      plan.counts[edge.downstream] = (plan.counts[edge.downstream] or 0) + 1
    end
  end
  return refusal
end

local function take_edges(plan, arg)
  local pairs_seen = {}
  for _, edge in ipairs(arg.edges) do
    local refusal = take_edge(plan, edge, pairs_seen)
    if refusal then
      return refusal
    end
  end
end

-- A quorum that nobody could reach is refused before it can strand anything.
local function check_quorum(plan, id)
  local g, join = not plan.new[id] and group.load(id) or nil, plan.joins[id]
  local n = (g and hashes.number(g, "n") or 0) + (plan.counts[id] or 0)
  local k = join and join.k or (g and hashes.number(g, "k"))
  if k and k > n then
    return op.refuse("quorum_unreachable", { execution = id, k = k, n = n })
  end
end

local function seal(plan, id)
  if not plan.is_sealed[id] then
    plan.sealed[#plan.sealed + 1] = id
    plan.is_sealed[id] = true
  end
end

local function take_seals(plan, arg)
  for _, id in ipairs(arg.seal or {}) do
    if not is_member(plan, id) then
      return op.refuse("execution_not_in_flow", { execution = id })
    end
    local is_held
    if plan.new[id] then
      is_held = plan.new[id].hold
    else
      local g = group.load(id)
      is_held = hashes.get(g, "state") ~= nil and hashes.get(g, "sealed") == nil
    end
    if is_held then
      seal(plan, id)
    end
  end
  for _, member in ipairs(plan.added) do
    if not member.hold and (plan.counts[member.id] or plan.joins[member.id]) then
      seal(plan, member.id)
    end
  end
  for _, id in ipairs(plan.sealed) do
    local refusal = check_quorum(plan, id)
    if refusal then
      return refusal
    end
  end
end

-- What is new of all that was asked for, or nil and the refusal of the first thing that is wrong.
function graph_plan.make(arg, now_ms)
  local plan = {
    begins = false,
    added = {},
    new = {},
    -- Older members that edges name, as they were loaded.
    found = {},
    joins = {},
    edges = {},
    counts = {},
    sealed = {},
    is_sealed = {},
  }
  local refusal = take_flow(plan, arg)
    or take_parent(plan, arg, now_ms)
    or take_members(plan, arg, now_ms)
    or take_joins(plan, arg)
    or take_edges(plan, arg)
    or take_seals(plan, arg)
  if refusal then
    return nil, refusal
  end
  plan.is_change = gain(plan) + #plan.edges + #plan.sealed > 0
  local state = plan.begins and "open" or flow.state(plan.flow)
  if plan.is_change and state ~= "open" then
    return nil, op.refuse("flow_ended", { flow = arg.flow, state = state })
  end
  plan.ranks, refusal = graph_order.ranks(plan)
  return plan.ranks and plan, refusal
end

return graph_plan
