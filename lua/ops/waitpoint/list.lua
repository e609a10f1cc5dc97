-- Read every waitpoint of an execution and, if asked, the signals that counted at each.
local keys = require("lib.keys")
local op = require("lib.op")
local record = require("lib.record")
local signals = require("lib.signals")

-- Positions of the signals that counted, in order: a server gives the waitpoints in none. What
-- does not parse is for the reader to tell.
local function counted(points)
  local positions = {}
  for at = 2, #points, 2 do
    for position in (points[at]:match("(%S+)$") or ""):gmatch("%d+") do
      positions[#positions + 1] = tonumber(position)
    end
  end
  table.sort(positions)
  return positions
end

return op.define({
  name = "waitpoint.list",
  events = {},
  reads = true,
  args = { "id:id", "with_signals:flag" },
  returns = {
    listed = {
      "points:map",
      "signals:signal",
      "state:text",
      "attempt:text?",
      "run:text",
      "interrupted:flag",
      "now:int",
    },
    absent = {},
  },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.outcome("absent")
    end
    local points, rows = redis.call("HGETALL", keys.waitpoints(arg.id)), {}
    if arg.with_signals then
      rows = signals.rows(arg, counted(points))
    end
    return op.outcome("listed", {
      points = points,
      signals = rows,
      state = x.f.state,
      attempt = x.f.attempt,
      run = x.f.replays or "0",
      interrupted = x.f.parked ~= nil,
      now = now_ms,
    })
  end,
})
