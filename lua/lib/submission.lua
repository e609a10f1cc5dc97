-- New work: what may be accepted, and how it is stored.
local gates = require("lib.gates")
local keys = require("lib.keys")
local lanes = require("lib.lanes")
local op = require("lib.op")
local pending = require("lib.pending")
local record = require("lib.record")
local tags = require("lib.tags")
local transition = require("lib.transition")
local values = require("lib.values")

local submission = {}

local function times(arg, now_ms)
  local not_before = arg.not_before or (arg.delay_ms and now_ms + arg.delay_ms) or nil
  local deadline_at = arg.deadline_at or (arg.deadline_ms and now_ms + arg.deadline_ms) or nil
  if not_before ~= nil and not_before <= now_ms then
    not_before = nil
  end
  if deadline_at ~= nil and deadline_at <= (not_before or now_ms) then
    return nil,
      nil,
      op.refuse("invalid_input", { argument = "deadline", why = "leaves no time to run" })
  end
  return not_before, deadline_at
end

-- When the work may start and must have ended, and whether its lane is new; or nil and a refusal.
function submission.check(arg, now_ms)
  local state = lanes.state(arg.lane)
  if state == "draining" then
    return nil, op.refuse("lane_closed", { lane = arg.lane })
  end
  local not_before, deadline_at, refusal = times(arg, now_ms)
  if refusal then
    return nil, refusal
  end
  return { not_before = not_before, deadline_at = deadline_at, is_new_lane = not state }
end

local copied = {
  "lane",
  "task",
  "priority",
  "attempt_timeout_ms",
  "retention_ms",
  "reclaims_max",
  "capabilities",
  "retry",
  "limit",
  "share",
  "budgets",
}

-- Stores work that was checked; `x` may have fields of its own already.
function submission.accept(x, arg, checked, now_ms)
  record.take_over(x, copied, arg)
  record.set(x, "created_at", now_ms)
  record.set(x, "not_before", checked.not_before)
  record.set(x, "deadline_at", checked.deadline_at)
  transition.apply(x, "submit", gates.facts(x, now_ms))
  if arg.input then
    values.write(keys.input(arg.id), arg.input)
  end
  pending.add_row(keys.executions(), arg.id, 0)
  if arg.tags then
    values.write(keys.tags(arg.id), arg.tags)
  end
  if arg.tagged then
    tags.enter(x, arg.tagged)
  end
  if checked.is_new_lane then
    lanes.set(arg.lane, "active")
  end
  transition.commit(x, now_ms)
end

return submission
