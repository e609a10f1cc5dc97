-- Every key of a partition, built from its hash tag; no other module concatenates key text.
local keys = {}

local prefix
-- Keys that one server call needs again and again.
local known

local function shared(name)
  local key = known[name]
  if key == nil then
    key = prefix .. name
    known[name] = key
  end
  return key
end

-- Binds the partition that this call works on: `{hf:<namespace>:<number>}`.
function keys.bind(tag)
  prefix, known = tag .. ":", {}
end

-- The number of this partition.
function keys.partition()
  return tonumber(prefix:match(":(%d+)}:$"))
end

-- What one execution owns; each key exists only when there is something to hold.
function keys.execution(id)
  return prefix .. "x:" .. id
end
function keys.input(id)
  return prefix .. "in:" .. id
end
function keys.ending(id)
  return prefix .. "out:" .. id
end
function keys.note(id)
  return prefix .. "note:" .. id
end
function keys.tags(id)
  return prefix .. "tags:" .. id
end
-- The digests of its tags, and the index of each tag.
function keys.tag_digests(id)
  return prefix .. "tagged:" .. id
end
function keys.tagged(digest)
  return prefix .. "tag:" .. digest
end
function keys.attempts(id)
  return prefix .. "attempts:" .. id
end
-- Its streams by attempt; for each of them the kept frames, the live ones, the rolling document.
function keys.streams(id)
  return prefix .. "streams:" .. id
end
function keys.frames(id, attempt)
  return prefix .. "frames:" .. id .. ":" .. attempt
end
function keys.live(id, attempt)
  return prefix .. "live:" .. id .. ":" .. attempt
end
function keys.summary(id, attempt)
  return prefix .. "summary:" .. id .. ":" .. attempt
end
function keys.idempotency(digest)
  return prefix .. "key:" .. digest
end

-- Suspensions: the latest one, every waitpoint, every accepted signal.
function keys.suspension(id)
  return prefix .. "wait:" .. id
end
function keys.waitpoints(id)
  return prefix .. "points:" .. id
end
function keys.signals(id)
  return prefix .. "signals:" .. id
end

-- Graphs: a flow, its members and tags; the edges of an execution.
function keys.flow(id)
  return prefix .. "flow:" .. id
end
function keys.members(id)
  return prefix .. "members:" .. id
end
function keys.flow_tags(id)
  return prefix .. "flowtags:" .. id
end
function keys.group(id)
  return prefix .. "group:" .. id
end
function keys.upstreams(id)
  return prefix .. "up:" .. id
end
function keys.downstreams(id)
  return prefix .. "down:" .. id
end

-- Budgets: fields, the two parts of their ledgers, reservations; and what an execution reported.
function keys.budget(id)
  return prefix .. "budget:" .. id
end
function keys.ledger(id, part)
  return prefix .. string.format("ledger%.0f:", part) .. id
end
function keys.holds(id)
  return prefix .. "holds:" .. id
end
function keys.usage(id)
  return prefix .. "usage:" .. id
end
-- Which partitions were told of it, and in each of those: who waits for it.
function keys.told(id)
  return prefix .. "told:" .. id
end
function keys.budget_waiters(id)
  return prefix .. "budget_waiters:" .. id
end
-- Their listing, the times at which something is due with them, reports without an answer.
function keys.budgets()
  return shared("budgets")
end
function keys.budget_times()
  return shared("budget_times")
end
function keys.unsettled()
  return shared("unsettled")
end
-- Budgets that have news for other partitions; what other partitions' budgets told; whose waiters
-- are being let go.
function keys.untold()
  return shared("untold")
end
function keys.exhausted()
  return shared("exhausted")
end
function keys.admitting()
  return shared("admitting")
end

-- What the partition shares: indexes by name, the listing, timers, lanes, live leases, sleepers.
function keys.index(name)
  return shared(name)
end
function keys.routed_index(name, route)
  return shared(name .. ":" .. route)
end
function keys.routes(lane)
  return prefix .. "routes:" .. lane
end
function keys.executions()
  return shared("executions")
end
function keys.timers()
  return shared("timers")
end
function keys.lanes()
  return shared("lanes")
end
function keys.leases(claim)
  return prefix .. "leases:" .. claim
end
function keys.sleepers()
  return shared("sleepers")
end

-- Limits: definitions, pauses; of each bucket who holds a slot, when work began, who waits.
function keys.limits()
  return shared("limits")
end
function keys.pauses()
  return shared("pauses")
end
function keys.slots(bucket)
  return prefix .. "slots:" .. bucket
end
function keys.starts(bucket)
  return prefix .. "starts:" .. bucket
end
-- How many wait in each bucket of a limit.
function keys.waiting(limit)
  return prefix .. "waiting:" .. limit
end
-- What other partitions have to be told about slots, by when.
function keys.owed()
  return shared("owed")
end
-- A queue in which keys take turns: the rows of one key (none for those without), and the ring.
function keys.queue(name, key)
  return prefix .. name .. (key and "||" .. key or "")
end
function keys.turns(name)
  return prefix .. "turns:" .. name
end
function keys.keyring()
  return shared("keyring")
end
function keys.flows()
  return shared("flows")
end
function keys.flow_ends()
  return shared("flow_ends")
end
function keys.backlog()
  return shared("backlog")
end
function keys.stuck()
  return shared("stuck")
end
function keys.config()
  return shared("config")
end

-- The feed of events: its end, where its segments begin, and each sealed segment.
function keys.feed()
  return shared("feed")
end
function keys.segments()
  return shared("segments")
end
function keys.segment(base)
  return prefix .. string.format("feed:%.0f", base)
end

-- The channel on which this partition wakes sleepers, tells lost leases, endings and new events.
function keys.channel()
  return prefix .. "wake"
end

return keys
