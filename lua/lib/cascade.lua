-- Cancels the members of a flow that is over, a bounded part at a time.
local backlog = require("lib.backlog")
local finish = require("lib.finish")
local flow = require("lib.flow")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local limits = require("generated.limits")
local pending = require("lib.pending")
local record = require("lib.record")
local transition = require("lib.transition")

local cascade = {}

-- Ends a member because its flow is over.
function cascade.cancel(x, now_ms)
  transition.apply(x, "cancelExecution", {})
  x.by = "flow"
  finish.commit(x, "flow_cancelled", nil, now_ms)
end

-- Whether it was cancelled.
local function cancel_doomed(h, id, now_ms)
  local x = record.load(id)
  if x ~= nil and x.f.ended_at == nil and flow.dooms(h, x) then
    cascade.cancel(x, now_ms)
  end
end

-- doomed <member>: one that gave its lease back after the cascade had passed.
local function doomed(words, now_ms)
  local x = record.load(words[2])
  if x ~= nil and x.f.ended_at == nil then
    cancel_doomed(flow.of(x), x.id, now_ms)
  end
  return 1
end

-- cascade <flow> <policy> [<member>]: the members after that one, unless a wider policy has begun.
local function walk(words, now_ms)
  local h = flow.load(words[2])
  if
    h == nil
    or hashes.get(h, "cancelling") == nil
    or hashes.get(h, "cancel_policy") ~= words[3]
  then
    return 1
  end
  -- Members that this very call has added are among them.
  pending.flush()
  local from = words[4] and "(" .. words[4] or "-"
  local key = keys.members(h.id)
  local found = redis.call("ZRANGE", key, from, "+", "BYLEX", "LIMIT", 0, limits.graph_chunk)
  return backlog.each(found, limits.graph_chunk, function(id)
    cancel_doomed(h, id, now_ms)
  end, function()
    if #found == limits.graph_chunk then
      backlog.push("cascade " .. h.id .. " " .. words[3] .. " " .. found[#found])
    else
      hashes.set(h, "cancelling", nil)
    end
  end)
end

backlog.handle("cascade", walk)
backlog.handle("doomed", doomed)

return cascade
