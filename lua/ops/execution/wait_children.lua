-- Park the execution until its children have ended, or hand it back at once when they have.
local fence = require("lib.fence")
local finish = require("lib.finish")
local flow = require("lib.flow")
local gates = require("lib.gates")
local group = require("lib.group")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

local function replayed(rest)
  return op.outcome("waiting", { state = rest, replayed = true })
end

-- How many children this round is about.
local function round_size(x)
  if x.f.has_up == nil then
    return 0
  end
  local g = group.load(x.id)
  local n = hashes.number(g, "n")
  if hashes.get(g, "state") == "pending" then
    return n
  end
  return n - hashes.number(g, "s") - hashes.number(g, "f") - hashes.number(g, "x")
end

-- Takes over how this round is joined, and begins it; only what the parent has not seen counts.
local function begin_round(g, arg)
  group.next_round(g)
  if arg.policy then
    hashes.set(g, "policy", arg.policy)
    hashes.set(g, "k", arg.k or nil)
    hashes.set(g, "collect", arg.collect or "all")
    hashes.set(g, "impossible", arg.impossible or "resume")
  else
    -- What nobody said means something else to a parent than to work that has not begun.
    hashes.set(g, "collect", hashes.get(g, "collect") or "all")
    hashes.set(g, "impossible", hashes.get(g, "impossible") or "resume")
  end
end

-- Whether children told of their end whom the parent has not seen: a new round drops them.
local function has_news(x, arg)
  if not arg.seen or x.f.has_up == nil then
    return false
  end
  local g = group.load(x.id)
  if hashes.get(g, "state") == "pending" then
    return false
  end
  local children = redis.call("LLEN", keys.upstreams(x.id)) - hashes.number(g, "children_from")
  return children - round_size(x) > arg.seen
end

-- What its children say to a parent that wants to wait for them.
local function verdict_of(x, arg)
  if x.f.has_up == nil then
    return "satisfied"
  end
  local g = group.load(x.id)
  begin_round(g, arg)
  local verdict = hashes.number(g, "n") == 0 and "satisfied" or group.verdict(g)
  if verdict ~= "pending" then
    hashes.set(g, "state", verdict)
  end
  if verdict == "impossible" and hashes.get(g, "impossible") == "fail" then
    return "failed"
  end
  return verdict
end

local function park(x, now_ms)
  local attempt_deadline_at = record.number(x, "attempt_deadline_at")
  if attempt_deadline_at ~= nil then
    -- The attempt's clock stands still while it waits.
    record.set(x, "attempt_left_ms", attempt_deadline_at - now_ms)
  end
  record.set(x, "parked", 1)
end

return op.define({
  name = "execution.wait_children",
  events = { "waitChildren", "childrenSettled", "dependencyFailed" },
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "digest:digest",
    "policy:join_policy?",
    "k:quorum?",
    "impossible:join_impossible?",
    "collect:join_collect?",
    -- How many children the parent has seen ended: when it is more, it looks again at once.
    "seen:index?",
  },
  returns = { waiting = { "state:text", "replayed:flag" } },
  run = function(arg, now_ms)
    if (arg.policy == "quorum") ~= (arg.k ~= false) or arg.impossible == "skip" then
      return op.refuse("invalid_input", { argument = "join", why = "cannot be waited for" })
    end
    local x, answer = fence.check_settle("wait_children", arg, now_ms, replayed)
    if x == nil then
      return answer
    end
    local is_news, size = has_news(x, arg), round_size(x)
    if not is_news and arg.k and size > 0 and arg.k > size then
      return op.refuse("quorum_unreachable", { execution = x.id, k = arg.k, n = size })
    end
    local verdict = is_news and "satisfied" or verdict_of(x, arg)
    park(x, now_ms)
    record.set(x, "deps", (verdict == "pending" or verdict == "failed") and 1 or nil)
    transition.apply(x, "waitChildren", gates.facts(x, now_ms))
    -- Whether its children or the cascade end it must not depend on who comes first.
    if verdict == "failed" and not flow.dooms(flow.of(x), x) then
      transition.apply(x, "dependencyFailed", {})
      fence.settle(x, "wait_children", arg.digest, x.f.state)
      finish.commit(x, "dependency_failed", nil, now_ms)
    else
      fence.settle(x, "wait_children", arg.digest, x.f.state)
      transition.commit(x, now_ms)
    end
    return op.outcome("waiting", { state = x.f.state, replayed = false })
  end,
})
