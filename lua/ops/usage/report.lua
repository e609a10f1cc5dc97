-- Log what the holder of a lease used, and count it at once when the budget lies in this partition.
local budgets = require("lib.budgets")
local fence = require("lib.fence")
local ledger = require("lib.ledger")
local op = require("lib.op")
local usage = require("lib.usage")

-- The report again: settled, or still on its way to its budget.
local function known(arg)
  local seq, result = usage.known(arg.id, arg.key)
  if seq == nil then
    return nil
  elseif result ~= nil then
    return op.outcome("reported", { result = result, replayed = true, untold = false })
  end
  return op.outcome("logged", { seq = seq, settled = usage.settled(arg.id), replayed = true })
end

local function count_here(arg, b, now_ms)
  local refusal = budgets.overflow(b, arg.amounts)
  if refusal then
    return refusal
  end
  local execution = string.format("%.0f-%s", arg.here, arg.id)
  local seq = usage.append(arg.id, arg, ledger.newest(b, execution), now_ms)
  local result = ledger.apply(b, {
    execution = execution,
    seq = seq,
    settled = usage.settled(arg.id),
    amounts = arg.amounts,
    mode = arg.mode,
    reservation = arg.reservation or nil,
  }, now_ms)
  usage.settle(arg.id, seq, result)
  return op.outcome("reported", { result = result, replayed = false, untold = b.f.untold ~= nil })
end

return op.define({
  name = "usage.report",
  events = {},
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "key:digest",
    "budget:budget_id",
    "mode:usage_mode",
    "amounts:amounts",
    "reservation:digest?",
    "here:partition?",
  },
  returns = {
    reported = { "result:text", "replayed:flag", "untold:flag" },
    logged = { "seq:int", "settled:int", "replayed:flag" },
  },
  run = function(arg, now_ms)
    local held, refusal = fence.glance(arg, now_ms)
    if held == nil then
      return refusal
    end
    local answer = known(arg)
    if answer ~= nil then
      return answer
    end
    if usage.is_full(arg.id) then
      return op.refuse("usage_log_full", {})
    end
    if arg.here then
      local b, absent = budgets.load(arg.budget, now_ms)
      return b == nil and absent or count_here(arg, b, now_ms)
    end
    local seq = usage.append(arg.id, arg, 0, now_ms)
    local settled = usage.settled(arg.id)
    return op.outcome("logged", { seq = seq, settled = settled, replayed = false })
  end,
})
