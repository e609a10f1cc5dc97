-- Commands with any number of values, as several of those that a server takes at once.
local bulk = {}

bulk.values_max = 2000

function bulk.send(command, key, values, count)
  for first = 1, count, bulk.values_max do
    local last = math.min(first + bulk.values_max - 1, count)
    redis.call(command, key, unpack(values, first, last))
  end
end

-- The same of a command that is about several keys.
function bulk.send_keys(command, list, count)
  for first = 1, count, bulk.values_max do
    redis.call(command, unpack(list, first, math.min(first + bulk.values_max - 1, count)))
  end
end

return bulk
