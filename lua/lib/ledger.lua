-- What each execution used of a budget, and which of its reports were counted.
--
-- A row for each execution: the generation that its amounts belong to, up to which number all of
-- its reports are settled, the numbers of later ones, the amounts. Results of those later reports
-- are kept beside it, so that a repeated one is answered alike; a report at or below the settled
-- number is known to be late, however late it comes. Rows of executions that report no more are
-- dropped in time (lib/ledger_parts).
local amounts = require("lib.amounts")
local budgets = require("lib.budgets")
local fields = require("lib.fields")
local ledger_parts = require("lib.ledger_parts")

local ledger = {}

local pattern = "^(%d+) (%d+) (%S+) ?(.*)$"

-- The row of an execution, and the key of the part that holds it.
local function load(b, execution)
  local at, earlier = ledger_parts.keys(b)
  local text = redis.call("HGET", at, execution)
  if not text then
    at, text = earlier, redis.call("HGET", earlier, execution)
  end
  if not text then
    return {
      at = nil,
      settled = ledger_parts.floor(b),
      generation = fields.number(b, "generation"),
      seqs = {},
      used = amounts.none(),
    }
  end
  local generation, settled, listed, used = text:match(pattern)
  local seqs = {}
  for seq in listed:gmatch("%d+") do
    seqs[#seqs + 1] = tonumber(seq)
  end
  return {
    at = at,
    generation = tonumber(generation),
    settled = tonumber(settled),
    seqs = seqs,
    used = amounts.parse(used),
  }
end

local function result_field(execution, seq)
  return string.format("%s %.0f", execution, seq)
end

-- Brings what is kept of the execution into the current part.
local function bring(b, execution, row)
  local current, from = ledger_parts.keys(b), row.at
  if from ~= nil and from ~= current then
    for _, seq in ipairs(row.seqs) do
      local name = result_field(execution, seq)
      redis.call("HSET", current, name, redis.call("HGET", from, name))
      redis.call("HDEL", from, name)
    end
    redis.call("HDEL", from, execution)
  end
  row.at = current
end

local function newest_of(row)
  return math.max(row.settled, row.seqs[#row.seqs] or 0)
end

-- Writes the row, which is in the current part by then.
local function save(b, execution, row, now_ms)
  local seqs = {}
  for position, seq in ipairs(row.seqs) do
    seqs[position] = string.format("%.0f", seq)
  end
  local listed = #seqs > 0 and table.concat(seqs, ";") or "-"
  local used = amounts.format(row.used)
  local text = string.format("%.0f %.0f %s %s", row.generation, row.settled, listed, used)
  redis.call("HSET", row.at, execution, text)
  ledger_parts.wrote(b, newest_of(row), now_ms)
end

-- Forgets results that nobody will ask for again.
local function forget(execution, row, settled)
  local left = {}
  for _, seq in ipairs(row.seqs) do
    if seq > settled then
      left[#left + 1] = seq
    else
      redis.call("HDEL", row.at, result_field(execution, seq))
    end
  end
  row.seqs, row.settled = left, math.max(row.settled, settled)
end

local function own_hold(b, execution, reservation)
  local hold = reservation and budgets.hold(b, reservation) or nil
  return hold ~= nil and hold.execution == execution and hold or nil
end

-- The newest number that is known of the execution's reports.
function ledger.newest(b, execution)
  return newest_of(load(b, execution))
end

-- Counts a report once. Returns its result and whether that was known; no result for a report that
-- is settled already; or nil, nil and a refusal. `report` says which one of which execution it is,
-- and up to where that execution's reports are settled.
function ledger.apply(b, report, now_ms)
  local execution = report.execution
  local row = load(b, execution)
  if report.seq <= row.settled then
    return nil
  end
  local known = row.at and redis.call("HGET", row.at, result_field(execution, report.seq))
  if known then
    return known, true
  end
  local refusal = budgets.overflow(b, report.amounts)
  if refusal then
    return nil, nil, refusal
  end
  local hold = own_hold(b, execution, report.reservation)
  local own = hold and hold.held or amounts.none()
  local result = budgets.count(b, report.amounts, report.mode, own, now_ms)
  if row.generation ~= fields.number(b, "generation") then
    row.generation, row.used = fields.number(b, "generation"), amounts.none()
  end
  if amounts.counted(result) then
    for _, name in ipairs(report.amounts.names) do
      if report.amounts.of[name] > 0 then
        amounts.add(row.used, name, report.amounts.of[name])
      end
    end
    if hold then
      budgets.drop_hold(b, report.reservation, hold)
    end
  end
  bring(b, execution, row)
  forget(execution, row, report.settled)
  row.seqs[#row.seqs + 1] = report.seq
  save(b, execution, row, now_ms)
  redis.call("HSET", row.at, result_field(execution, report.seq), result)
  budgets.commit(b, now_ms)
  return result, false
end

-- Takes back what the execution used in this generation. Returns it as text.
function ledger.release(b, execution, now_ms)
  local row = load(b, execution)
  if #row.used.names == 0 or row.generation ~= fields.number(b, "generation") then
    return ""
  end
  for _, name in ipairs(row.used.names) do
    local left = fields.number(b, "u:" .. name) - row.used.of[name]
    fields.set(b, "u:" .. name, left > 0 and left or nil)
  end
  local released = amounts.format(row.used)
  row.used = amounts.none()
  bring(b, execution, row)
  save(b, execution, row, now_ms)
  budgets.commit(b, now_ms)
  return released
end

return ledger
