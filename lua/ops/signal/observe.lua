-- Read the signals that resumed an attempt, in the order of their acceptance.
local op = require("lib.op")
local record = require("lib.record")
local signals = require("lib.signals")
local suspension = require("lib.suspension")

-- Only signals end a wait in these two ways; the second is the engine's own signal.
local by_signal = { resumed = true, timed_out_auto_resume = true }

return op.define({
  name = "signal.observe",
  events = {},
  reads = true,
  args = { "id:id", "attempt:index" },
  returns = { observed = { "signals:signal" } },
  run = function(arg)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    local s, rows = suspension.load(x), {}
    if
      s ~= nil
      and suspension.number(s, "attempt") == arg.attempt
      and s.f.closer
      and by_signal[s.f.closed]
    then
      local positions = suspension.satisfiers(s)
      if s.f.closed ~= "resumed" then
        positions = { suspension.number(s, "closer") }
      end
      rows = signals.rows(x, positions)
    end
    return op.outcome("observed", { signals = rows })
  end,
})
