-- The server's clock, the only time that decides anything. The test build swaps this module.
local clock = {}

-- Returns milliseconds and microseconds since the Unix epoch.
function clock.read()
  local time = redis.call("TIME")
  local seconds, micros = tonumber(time[1]), tonumber(time[2])
  return seconds * 1000 + math.floor(micros / 1000), seconds * 1000000 + micros
end

return clock
