-- Claimed executions as their claimer gets them: their words in one text, and inputs beside it.
--
-- Every part of a reply costs both sides far more than the bytes in it. A row has thirteen words,
-- each on a line of its own, in the order of `lib/rows`; none has line breaks. The last one says
-- whether the row's input is among those that follow.
local digits = require("lib.digits")

local claimed = {}

-- What is claimed together mostly begins at the same time, for the same time.
local latest_ms, latest_at, latest_text

local function span_of(lease_ms, expires_at)
  if latest_text == nil or lease_ms ~= latest_ms or expires_at ~= latest_at then
    latest_ms, latest_at = lease_ms, expires_at
    latest_text = (digits.of(lease_ms) or "") .. "\n" .. (digits.of(expires_at) or "")
  end
  return latest_text
end

function claimed.rows()
  return { count = 0, words = {}, n = 0, inputs = {} }
end

-- Adds a row; its input is false when the claimer is to fetch it.
-- stylua: ignore
function claimed.add(
  rows, id, kind, lane, task, attempt, attempt_type, lease_id, epoch, lease_ms, expires_at,
  attempt_deadline_at, created_at, input)
  if input then
    rows.inputs[#rows.inputs + 1] = input
  end
  local words, n = rows.words, rows.n
  words[n + 1], words[n + 2], words[n + 3], words[n + 4] = id, kind, lane, task
  words[n + 5], words[n + 6] = digits.of(attempt) or "", attempt_type
  words[n + 7], words[n + 8] = lease_id, digits.of(epoch) or ""
  words[n + 9] = span_of(lease_ms, expires_at)
  words[n + 10] = digits.of(attempt_deadline_at) or ""
  words[n + 11], words[n + 12] = digits.of(created_at), input and "1" or "0"
  rows.n, rows.count = n + 12, rows.count + 1
end

function claimed.encode(rows)
  return { table.concat(rows.words, "\n", 1, rows.n), unpack(rows.inputs) }
end

return claimed
