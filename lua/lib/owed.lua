-- What other partitions have to be told about slots: kept until they were told.
--
-- A row is five words: its kind, the partition to tell, the bucket, the key, the request. Kinds:
-- "ask" for a slot, "release" one, "withdraw" a request that began nothing, all at the bucket's
-- home; and the home's own "check" whether the holder still needs its slot, which also tells it
-- that it has one.
local keys = require("lib.keys")
local wake = require("lib.wake")

local owed = {}

local function row_of(kind, partition, bucket, share, request)
  local mark = share and "=" .. share or "-"
  return string.format("%s %.0f %s %s %s", kind, partition, bucket, mark, request)
end

-- Adds a row; what is due at once is told at once.
function owed.add(kind, partition, bucket, share, request, at_ms)
  redis.call("ZADD", keys.owed(), at_ms or 0, row_of(kind, partition, bucket, share, request))
  if at_ms == nil then
    wake.owed()
  end
end

function owed.remove(kind, partition, bucket, share, request)
  redis.call("ZREM", keys.owed(), row_of(kind, partition, bucket, share, request))
end

-- The words of a row, the request as the id and the number of the ticket.
function owed.read(row)
  local kind, partition, bucket, mark, id, ticket =
    row:match("^(%l+) (%d+) (%S+) (%S+) ([^:]+):(%d+)$")
  local share = mark ~= "-" and mark:sub(2) or nil
  return kind, tonumber(partition), bucket, share, id, ticket
end

return owed
