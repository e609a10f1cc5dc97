-- Let blocked work go: to where its other gates place it. Asking twice changes nothing more.
local gates = require("lib.gates")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

return op.define({
  name = "execution.unblock",
  events = { "unblock" },
  args = { "id:id", "why:word" },
  returns = { unblocked = { "state:text", "replayed:flag" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    if x.f.block_reason == nil and x.f.ended_at == nil then
      return op.outcome("unblocked", { state = x.f.state, replayed = true })
    end
    if not transition.accepts(x, "unblock") or x.f.block_reason ~= arg.why then
      return op.refuse("execution_not_eligible", { state = x.f.state })
    end
    record.set(x, "block_reason", nil)
    record.set(x, "withheld", nil)
    transition.apply(x, "unblock", gates.facts(x, now_ms))
    transition.commit(x, now_ms)
    return op.outcome("unblocked", { state = x.f.state, replayed = false })
  end,
})
