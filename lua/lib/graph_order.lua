-- Finds cycles before an edge is written, and ranks members so that little has to be searched.
--
-- Along every edge the rank grows. New members are ranked in the order in which they depend on
-- each other; an edge into an older one raises, if it must, the ranks of what depends on that.
local group = require("lib.group")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local limits = require("generated.limits")
local op = require("lib.op")

local graph_order = {}

local function cycle(ids)
  return op.refuse("graph_cycle", { cycle = table.concat(ids, ",") })
end

-- Walks against the edges among members that all wait for each other, until one comes again.
local function cycle_among(start, inbound, left)
  local seen, path, id = {}, {}, start
  while not seen[id] do
    path[#path + 1] = id
    seen[id] = #path
    for _, upstream in ipairs(inbound[id]) do
      if left[upstream] then
        id = upstream
        break
      end
    end
  end
  local ids = { id }
  for position = #path, seen[id], -1 do
    ids[#ids + 1] = path[position]
  end
  return cycle(ids)
end

local function rank_of(ranks, id)
  return ranks[id] or hashes.number(group.load(id), "rank")
end

-- Ranks the new members; returns a refusal when they depend on each other in a circle.
local function rank_new(plan, ranks)
  local inbound, outbound, open, left = {}, {}, {}, {}
  for _, member in ipairs(plan.added) do
    inbound[member.id], outbound[member.id], open[member.id] = {}, {}, 0
    left[member.id] = true
  end
  for _, edge in ipairs(plan.edges) do
    if left[edge.downstream] then
      table.insert(inbound[edge.downstream], edge.upstream)
      if left[edge.upstream] then
        table.insert(outbound[edge.upstream], edge.downstream)
        open[edge.downstream] = open[edge.downstream] + 1
      end
    end
  end
  local queue = {}
  for _, member in ipairs(plan.added) do
    if open[member.id] == 0 then
      queue[#queue + 1] = member.id
    end
  end
  local position = 1
  while queue[position] ~= nil do
    local id, rank = queue[position], 0
    left[id] = nil
    for _, upstream in ipairs(inbound[id]) do
      rank = math.max(rank, rank_of(ranks, upstream) + 1)
    end
    ranks[id] = rank
    for _, downstream in ipairs(outbound[id]) do
      open[downstream] = open[downstream] - 1
      if open[downstream] == 0 then
        queue[#queue + 1] = downstream
      end
    end
    position = position + 1
  end
  for _, member in ipairs(plan.added) do
    if left[member.id] then
      return cycle_among(member.id, inbound, left)
    end
  end
end

local function path_to(from, id, upstream)
  local ids = { id }
  while id ~= from do
    id = upstream[id]
    table.insert(ids, 1, id)
  end
  return ids
end

-- Raises what depends on `edge.downstream` over the rank of `edge.upstream`.
local function raise(edge, ranks, outbound, budget)
  local start, goal = edge.downstream, edge.upstream
  local stack, upstream = { { start, rank_of(ranks, goal) + 1 } }, {}
  while #stack > 0 do
    local id, rank = unpack(table.remove(stack))
    if rank_of(ranks, id) < rank then
      ranks[id] = rank
      for _, downstream in ipairs(outbound(id)) do
        budget.visits = budget.visits - 1
        if budget.visits < 0 then
          return op.refuse("graph_too_large", { what = "search for cycles" })
        end
        upstream[downstream] = id
        if downstream == goal then
          local ids = path_to(start, goal, upstream)
          table.insert(ids, 1, goal)
          return cycle(ids)
        end
        stack[#stack + 1] = { downstream, rank + 1 }
      end
    end
  end
end

-- Ids that an id leads to: edges that are stored, and those that this call has looked at.
local function outbound_of(known)
  return function(id)
    local list = known[id]
    if list == nil or not list.is_read then
      local stored = redis.call("LRANGE", keys.downstreams(id), 0, -1)
      for _, downstream in ipairs(list or {}) do
        stored[#stored + 1] = downstream
      end
      stored.is_read = true
      list = stored
      known[id] = list
    end
    return list
  end
end

-- The new ranks by id, or nil and a refusal that names a cycle.
function graph_order.ranks(plan)
  local ranks, known, budget = {}, {}, { visits = limits.graph_visits }
  local refusal = rank_new(plan, ranks)
  local outbound = outbound_of(known)
  local function add(edge)
    known[edge.upstream] = known[edge.upstream] or {}
    table.insert(known[edge.upstream], edge.downstream)
  end
  for _, edge in ipairs(plan.edges) do
    if plan.new[edge.downstream] then
      add(edge)
    end
  end
  for _, edge in ipairs(plan.edges) do
    if refusal ~= nil then
      break
    elseif not plan.new[edge.downstream] then
      if rank_of(ranks, edge.downstream) <= rank_of(ranks, edge.upstream) then
        refusal = raise(edge, ranks, outbound, budget)
      end
      add(edge)
    end
  end
  return refusal == nil and ranks or nil, refusal
end

return graph_order
