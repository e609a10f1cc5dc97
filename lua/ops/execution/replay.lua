-- Run an ended execution again; epochs and attempts go on counting.
local gates = require("lib.gates")
local keys = require("lib.keys")
local lease = require("lib.lease")
local limits = require("generated.limits")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

local cleared = { "class", "ended_at", "progress", "reason", "reclaims", "retries" }

return op.define({
  name = "execution.replay",
  events = { "replay" },
  args = { "id:id", "replay_id:lease_stem" },
  returns = { replayed = { "state:text", "replays:int", "repeated:flag" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    if x.f.replay_id == arg.replay_id then
      -- The same request again, after its answer was lost.
      local replays = x.f.replays
      return op.outcome("replayed", { state = x.f.state, replays = replays, repeated = true })
    end
    if not transition.accepts(x, "replay") then
      return op.refuse("execution_not_terminal", { state = x.f.state })
    end
    local replays = (record.number(x, "replays") or 0) + 1
    if replays > limits.replays_max then
      return op.refuse("max_replays_exhausted", { replays = replays - 1 })
    end
    local how = x.f.state:match("^terminal%.(%l+)$")
    transition.apply(x, "replay", gates.facts(x, now_ms))
    if x.f.attempt ~= nil then
      lease.log_last_attempt(x, how)
      record.set(x, "replaying", 1)
    end
    for _, field in ipairs(cleared) do
      record.set(x, field, nil)
    end
    record.set(x, "replays", replays)
    record.set(x, "replay_id", arg.replay_id)
    if (record.number(x, "deadline_at") or now_ms) <= now_ms then
      record.set(x, "deadline_at", nil)
    end
    if x.f.noted ~= nil then
      record.set(x, "noted", nil)
      redis.call("DEL", keys.note(x.id))
    end
    redis.call("DEL", keys.ending(x.id))
    transition.commit(x, now_ms)
    return op.outcome("replayed", { state = x.f.state, replays = replays, repeated = false })
  end,
})
