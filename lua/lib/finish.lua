-- The end of an execution, shared by every way of ending.
local keys = require("lib.keys")
local record = require("lib.record")
local suspension = require("lib.suspension")
local stream = require("lib.stream")
local transition = require("lib.transition")
local values = require("lib.values")
local wake = require("lib.wake")

local finish = {}

local unfinished = {
  "attempt_left_ms",
  "block_reason",
  "deps",
  "grant_id",
  "grant_until",
  "grant_worker",
  "not_before",
  "parked",
  "replaying",
  "withheld",
}

-- What a stream says of an ending; other reasons speak for themselves.
local closed_by = {
  failed = "attempt_failure",
  cancelled_by_worker = "attempt_cancelled",
  cancelled_by_operator = "attempt_cancelled",
  deadline = "expired",
}

-- Clears what only unfinished work has, after the lifecycle has accepted the ending. `reason` is a
-- short word; `ending` holds the result or the failure as bytes, nil when there is none.
function finish.commit(x, reason, ending, now_ms)
  local f = x.f
  for position = 1, #unfinished do
    local field = unfinished[position]
    if f[field] ~= nil then
      record.set(x, field, nil)
    end
  end
  stream.close(x, closed_by[reason or ""] or reason or "attempt_success", now_ms)
  if reason ~= "failed" then
    -- An earlier attempt's failure class is not why this execution ended.
    record.set(x, "class", nil)
  end
  if f.suspension ~= nil then
    local how = reason == "deadline" and "expired" or "cancelled"
    suspension.close(x, suspension.load(x), how, nil, now_ms)
    suspension.leave(x)
  end
  record.set(x, "ended_at", now_ms)
  record.set(x, "reason", reason)
  if ending ~= nil then
    values.write(keys.ending(x.id), ending)
  else
    -- An earlier attempt's failure must not pass for how the execution ended.
    if x.f.retries ~= nil then
      values.remove(keys.ending(x.id))
    end
  end
  if x.f.watched ~= nil then
    wake.ended(x.id)
    record.set(x, "watched", nil)
  end
  transition.commit(x, now_ms)
end

return finish
