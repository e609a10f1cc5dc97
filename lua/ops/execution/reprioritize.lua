-- Change the priority of work that is not under a lease.
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

return op.define({
  name = "execution.reprioritize",
  events = { "reprioritize" },
  args = { "id:id", "priority:priority" },
  returns = { changed = { "from:int", "to:int" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    if not transition.accepts(x, "reprioritize") then
      return op.refuse("execution_not_eligible", { state = x.f.state })
    end
    local from = record.number(x, "priority") or 0
    if from == arg.priority then
      -- No news, so nobody is told.
      return op.outcome("changed", { from = from, to = from })
    end
    transition.apply(x, "reprioritize", {})
    record.set(x, "priority", arg.priority > 0 and arg.priority or nil)
    transition.commit(x, now_ms)
    return op.outcome("changed", { from = from, to = arg.priority })
  end,
})
