-- What an execution reports that it used: a log beside it, until each budget has counted its part.
--
-- Reports are numbered over all attempts. "e" and the number: the report; "r": what came of it once
-- the budget answered; "k" and a key: the number of the report with that key; "a", attempt and
-- budget: what was counted in all. `last`: the newest number, `open`: those that are not settled,
-- `kept`: how many reports are kept. The newest settled ones stay for who repeats a key.
local amounts = require("lib.amounts")
local keys = require("lib.keys")
local limits = require("generated.limits")
local pending = require("lib.pending")
local record = require("lib.record")

local usage = {}

local function get(id, field)
  return redis.call("HGET", keys.usage(id), field) or nil
end

local function set(id, field, value)
  redis.call("HSET", keys.usage(id), field, value)
end

local function numbered(mark, seq)
  return string.format("%s%.0f", mark, seq)
end

local function head_of(id)
  local found = redis.call("HMGET", keys.usage(id), "last", "kept", "open")
  local open = {}
  for seq in (found[3] or ""):gmatch("%d+") do
    open[#open + 1] = tonumber(seq)
  end
  local last, kept = tonumber(found[1] or nil) or 0, tonumber(found[2] or nil) or 0
  return { last = last, kept = kept, open = open }
end

local function save_open(id, open)
  local seqs = {}
  for position, seq in ipairs(open) do
    seqs[position] = string.format("%.0f", seq)
  end
  set(id, "open", table.concat(seqs, ";"))
end

local function row_of(id, seq)
  return string.format("%s %.0f", id, seq)
end

-- The report of that number as it was logged, or nil.
function usage.entry(id, seq)
  local text = get(id, numbered("e", seq))
  if text == nil then
    return nil
  end
  local attempt, budget, mode, logged_at, reservation, key, given =
    text:match("^(%d+) (%S+) (%l+) (%d+) (%S+) (%S+) (.*)$")
  return {
    seq = seq,
    attempt = tonumber(attempt),
    budget = budget,
    mode = mode,
    logged_at = tonumber(logged_at),
    reservation = reservation ~= "-" and reservation or nil,
    key = key,
    amounts = amounts.parse(given),
  }
end

-- Up to which number all reports are settled.
function usage.settled(id)
  local head = head_of(id)
  return head.open[1] ~= nil and head.open[1] - 1 or head.last
end

-- The number of the report with that key, and its result once it is settled; nil when it is new.
function usage.known(id, key)
  local seq = tonumber(get(id, "k" .. key))
  if seq == nil then
    return nil
  end
  return seq, get(id, numbered("r", seq))
end

local function drop(id, seq, entry)
  redis.call("HDEL", keys.usage(id), numbered("e", seq), numbered("r", seq), "k" .. entry.key)
end

-- Whether there is no room for another report before older ones are settled.
function usage.is_full(id)
  return #head_of(id).open >= limits.unsettled_usage_max
end

-- Forgets the older half of the settled reports, so that looking for them is rare. Returns how many
-- are left.
local function trim(id, kept)
  local seqs = {}
  for _, field in ipairs(redis.call("HKEYS", keys.usage(id))) do
    if field:sub(1, 1) == "r" then
      seqs[#seqs + 1] = tonumber(field:sub(2))
    end
  end
  table.sort(seqs)
  local gone = math.floor(#seqs / 2)
  for position = 1, gone do
    drop(id, seqs[position], usage.entry(id, seqs[position]))
  end
  return kept - gone
end

-- Keeps a report until its budget has counted it. The caller knows that there is room. Returns its
-- number, which is no smaller than the time, so that it is new even when a failover lost reports;
-- `newest` is the newest that the budget knows, where that can be asked for.
function usage.append(id, report, newest, now_ms)
  local head = head_of(id)
  local seq = math.max(head.last + 1, newest + 1, now_ms * 1000)
  local text = string.format(
    "%.0f %s %s %.0f %s %s %s",
    report.attempt,
    report.budget,
    report.mode,
    now_ms,
    report.reservation or "-",
    report.key,
    amounts.format(report.amounts)
  )
  local kept = head.kept
  if kept >= limits.usage_log_max then
    kept = trim(id, kept)
  end
  local number = string.format("%.0f", seq)
  local fields =
    { "last", number, "kept", kept + 1, "e" .. number, text, "k" .. report.key, number }
  redis.call("HSET", keys.usage(id), unpack(fields))
  head.open[#head.open + 1] = seq
  save_open(id, head.open)
  pending.add_row(keys.unsettled(), row_of(id, seq), now_ms + limits.usage_resend_ms)
  if head.last == 0 then
    local x = record.load(id)
    record.set(x, "spent", 1)
    record.save(x)
  end
  return seq
end

local function add_total(id, entry)
  local field = string.format("a%.0f %s", entry.attempt, entry.budget)
  local total = amounts.parse(get(id, field) or "")
  for _, name in ipairs(entry.amounts.names) do
    if entry.amounts.of[name] > 0 then
      amounts.add(total, name, entry.amounts.of[name])
      -- More than can be written exactly is told as the most that can.
      total.of[name] = math.min(total.of[name], limits.amount.max)
    end
  end
  if #total.names > 0 then
    set(id, field, amounts.format(total))
  end
end

-- Remembers what came of a report, or forgets a report that its budget refused. Returns false when
-- it was settled before.
function usage.settle(id, seq, result)
  local entry = usage.entry(id, seq)
  if entry == nil or get(id, numbered("r", seq)) ~= nil then
    return false
  end
  pending.remove_row(keys.unsettled(), row_of(id, seq))
  if result then
    set(id, numbered("r", seq), result)
    if amounts.counted(result) then
      add_total(id, entry)
    end
  else
    drop(id, seq, entry)
  end
  local head, left = head_of(id), {}
  for _, other in ipairs(head.open) do
    if other ~= seq then
      left[#left + 1] = other
    end
  end
  save_open(id, left)
  if not result then
    set(id, "kept", head.kept - 1)
  end
  if #left == 0 and not record.exists(id) then
    redis.call("DEL", keys.usage(id))
  end
  return true
end

-- Forgets the log of a purged execution; one that budgets still have to hear of stays until then.
function usage.purge(id)
  if #head_of(id).open == 0 then
    redis.call("DEL", keys.usage(id))
  end
end

-- Numbers of the reports whose budget should have answered by now, at most `count`.
function usage.overdue(now_ms, count)
  pending.flush()
  local now = string.format("%.0f", now_ms)
  local rows = redis.call("ZRANGEBYSCORE", keys.unsettled(), "-inf", now, "LIMIT", 0, count)
  local found = {}
  for position, row in ipairs(rows) do
    local id, seq = row:match("^(%S+) (%d+)$")
    found[position] = { id = id, seq = tonumber(seq) }
  end
  return found
end

-- When the next report is to be sent again, or nil.
function usage.next_at()
  pending.flush()
  return tonumber(redis.call("ZRANGE", keys.unsettled(), 0, 0, "WITHSCORES")[2])
end

return usage
