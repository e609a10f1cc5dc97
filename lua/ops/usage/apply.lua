-- Count a logged report against its budget, once; a late repetition of a settled one is forgotten.
local budgets = require("lib.budgets")
local ledger = require("lib.ledger")
local op = require("lib.op")

return op.define({
  name = "usage.apply",
  events = {},
  args = {
    "budget:budget_id",
    "execution:execution",
    "seq:usage_seq",
    "settled:usage_settled",
    "mode:usage_mode",
    "amounts:amounts",
    "reservation:digest?",
  },
  returns = { applied = { "result:text", "replayed:flag", "untold:flag" }, forgotten = {} },
  run = function(arg, now_ms)
    local b, absent = budgets.load(arg.budget, now_ms)
    if b == nil then
      return absent
    end
    local result, replayed, refusal = ledger.apply(b, arg, now_ms)
    if refusal ~= nil then
      return refusal
    elseif result == nil then
      return op.outcome("forgotten")
    end
    return op.outcome(
      "applied",
      { result = result, replayed = replayed, untold = b.f.untold ~= nil }
    )
  end,
})
