-- Hold a part of a budget for one execution until a report settles it or its time is over.
local amounts = require("lib.amounts")
local budgets = require("lib.budgets")
local limits = require("generated.limits")
local op = require("lib.op")
local fields = require("lib.fields")

return op.define({
  name = "budget.reserve",
  events = {},
  args = {
    "budget:budget_id",
    "execution:execution",
    "reservation:digest",
    "amounts:amounts",
    "ttl_ms:reservation_ms",
  },
  returns = {
    reserved = { "expires_at:int", "replayed:flag" },
    hard_breach = { "dimension:text", "current:int", "limit:int" },
  },
  run = function(arg, now_ms)
    local b, refusal = budgets.load(arg.budget, now_ms)
    if b == nil then
      return refusal
    end
    local hold = budgets.hold(b, arg.reservation)
    if hold ~= nil then
      return op.outcome("reserved", { expires_at = hold.until_ms, replayed = true })
    end
    if (fields.number(b, "holds") or 0) >= limits.reservations_max then
      return op.refuse("reservation_limit_exceeded", { budget = b.id })
    end
    refusal = budgets.overflow(b, arg.amounts)
    if refusal then
      return refusal
    end
    local name, current, hard = budgets.beyond(b, arg.amounts, amounts.none())
    if name ~= nil then
      return op.outcome("hard_breach", { dimension = name, current = current, limit = hard })
    end
    local until_ms = now_ms + arg.ttl_ms
    budgets.add_hold(b, arg.reservation, arg.execution, until_ms, arg.amounts)
    budgets.commit(b, now_ms)
    return op.outcome("reserved", { expires_at = until_ms, replayed = false })
  end,
})
