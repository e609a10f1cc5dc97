-- The clock of tests: it stands still at whatever time it was last told.
local clock = {}

local now_ms = 0

redis.register_function(LIBRARY .. "_clock", function(_, args)
  now_ms = tonumber(args[1])
  return redis.status_reply("OK")
end)

function clock.read()
  return now_ms, now_ms * 1000
end

return clock
