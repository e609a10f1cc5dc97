-- A page of a sorted list of ids, in byte order after a cursor.
local pending = require("lib.pending")

local listing = {}

-- At most `count` ids, and whether there are more.
function listing.page(key, after, count)
  if count == 0 then
    return {}, false
  end
  pending.flush()
  local from = after and "(" .. after or "-"
  local ids = redis.call("ZRANGE", key, from, "+", "BYLEX", "LIMIT", 0, count + 1)
  local more = #ids > count
  if more then
    ids[#ids] = nil
  end
  return ids, more
end

return listing
