-- Make a budget, unless there is one of that id: one that was made alike is the same.
local budgets = require("lib.budgets")
local keys = require("lib.keys")
local op = require("lib.op")
local pending = require("lib.pending")
local fields = require("lib.fields")

return op.define({
  name = "budget.create",
  events = {},
  args = {
    "budget:budget_id",
    "fingerprint:digest",
    "dimensions:dimension_limits",
    "on_hard:hard_limit_action",
    "scope:word?",
    "reset_ms:reset_ms?",
  },
  returns = { created = {}, exists = {} },
  run = function(arg, now_ms)
    -- Of one that was removed others may have yet to hear.
    local b = budgets.stored(arg.budget) or budgets.new(arg.budget)
    local known = b.f.fingerprint
    if known == arg.fingerprint then
      return op.outcome("exists")
    elseif known then
      return op.refuse("budget_conflict", { budget = arg.budget })
    end
    fields.set(b, "removed", nil)
    fields.set(b, "fingerprint", arg.fingerprint)
    fields.set(b, "created_at", now_ms)
    fields.set(b, "generation", 1)
    fields.set(b, "on_hard", arg.on_hard)
    fields.set(b, "scope", arg.scope or nil)
    if arg.reset_ms then
      fields.set(b, "reset_ms", arg.reset_ms)
      fields.set(b, "next_reset_at", now_ms + arg.reset_ms)
    end
    budgets.limit(b, arg.dimensions)
    pending.add_row(keys.budgets(), arg.budget, 0)
    budgets.commit(b, now_ms)
    return op.outcome("created")
  end,
})
