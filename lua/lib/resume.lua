-- Leaving a suspension: by its signals, by an operator, or because its time is over.
local corruption = require("lib.corruption")
local finish = require("lib.finish")
local gates = require("lib.gates")
local record = require("lib.record")
local signals = require("lib.signals")
local suspension = require("lib.suspension")
local transition = require("lib.transition")

local resume = {}

-- Places the execution where its gates allow; the worker's own wish for a delay holds for every
-- way of resuming, unless an operator says otherwise.
local function place(x, event, delay_ms, now_ms)
  if delay_ms > 0 then
    record.set(x, "not_before", now_ms + delay_ms)
  end
  suspension.leave(x)
  transition.apply(x, event, gates.facts(x, now_ms))
  transition.commit(x, now_ms)
end

local function wished_delay(s)
  return suspension.number(s, "delay_ms") or 0
end

-- Resumes because the condition is met; `closer` is the position of the last signal.
function resume.by_signal(x, s, closer, now_ms)
  suspension.close(x, s, "resumed", closer, now_ms)
  place(x, "resume", wished_delay(s), now_ms)
end

function resume.by_operator(x, s, delay_ms, now_ms)
  suspension.close(x, s, "operator_resume", nil, now_ms)
  x.by = "operator"
  place(x, "resume", delay_ms or wished_delay(s), now_ms)
end

-- The signal that tells a worker that its suspension ran out of time.
local function append_timeout(x, s, now_ms)
  local signal = {
    position = signals.count(x) + 1,
    -- One per suspension: its id cannot be that of a sender's signal.
    id = "timeout:" .. s.f.id,
    waitpoint = s.ids[1],
    name = "timeout",
    category = "timeout",
    source = "engine",
    encoding = "binary",
    accepted_at = now_ms,
    effect = "resume_condition_satisfied",
    digest = ",",
    identity = "",
    correlation = "",
    key = "",
  }
  signals.append(x, signal)
  return signal.position
end

local function go_on(x, s, how, closer, now_ms)
  suspension.close(x, s, how, closer, now_ms)
  place(x, "lapse", wished_delay(s), now_ms)
end

-- Ends the execution: under which fact, and how its suspension is closed.
local endings = {
  fail = { fact = "failsWhenLate", how = "timed_out_fail" },
  cancel = { fact = "cancelsWhenLate", how = "timed_out_cancel" },
  expire = { fact = "expiresWhenLate", how = "timed_out_expire" },
}

local function stop(x, s, ending, now_ms)
  suspension.close(x, s, ending.how, nil, now_ms)
  suspension.leave(x)
  transition.apply(x, "lapse", { [ending.fact] = true })
  finish.commit(x, "suspension_timeout", nil, now_ms)
end

-- Goes on, or waits for an operator.
local behaviours = {
  auto_resume = function(x, s, now_ms)
    go_on(x, s, "timed_out_auto_resume", nil, now_ms)
  end,
  auto_resume_with_signal = function(x, s, now_ms)
    go_on(x, s, "timed_out_auto_resume", append_timeout(x, s, now_ms), now_ms)
  end,
  -- From now on only an operator can resume it.
  escalate = function(x, s, now_ms)
    suspension.update(x, s, {
      condition = "operator",
      reason = "waiting_for_operator_review",
      escalated_at = now_ms,
    }, { "timeout_at" })
    record.set(x, "wait_until", nil)
    transition.apply(x, "lapse", { escalatesWhenLate = true })
    transition.commit(x, now_ms)
  end,
}

-- Applies what was asked for when the suspension's time is over.
function resume.lapse(x, now_ms)
  local s = suspension.load(x)
  local ending = endings[s.f.behaviour]
  if ending then
    stop(x, s, ending, now_ms)
  else
    local go = behaviours[s.f.behaviour] or corruption.tell(s.key, "behaviour", "is unknown")
    go(x, s, now_ms)
  end
end

return resume
