-- Commands with any number of values, as several of those that a server takes at once.
local bulk = {}

local values_max = 2000

function bulk.send(command, key, values, count)
  for first = 1, count, values_max do
    redis.call(command, key, unpack(values, first, math.min(first + values_max - 1, count)))
  end
end

return bulk
