-- Removes everything that is stored about one ended execution, in one step.
local feed = require("lib.feed")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local record = require("lib.record")
local stream = require("lib.stream")
local tags = require("lib.tags")
local transition = require("lib.transition")
local usage = require("lib.usage")
local values = require("lib.values")

local purge = {}

-- `by` says who wants it gone: an operator, or the clock when its retention is over.
function purge.remove(x, by)
  transition.remove(x)
  feed.add(x, "purge", nil, by)
  if x.f.key ~= nil then
    values.remove(keys.idempotency(x.f.key))
  end
  if x.f.has_up ~= nil then
    hashes.remove(keys.group(x.id))
    redis.call("DEL", keys.upstreams(x.id))
  end
  if x.f.has_down ~= nil then
    redis.call("DEL", keys.downstreams(x.id))
  end
  if x.f.streamed ~= nil then
    stream.remove(x.id)
  end
  if x.f.spent ~= nil then
    usage.purge(x.id)
  end
  if x.f.tagged ~= nil then
    tags.leave(x)
  end
  record.remove(x)
  values.remove(keys.input(x.id))
  values.remove(keys.ending(x.id))
  values.remove(keys.note(x.id))
  values.remove(keys.tags(x.id))
  redis.call(
    "DEL",
    keys.attempts(x.id),
    keys.suspension(x.id),
    keys.waitpoints(x.id),
    keys.signals(x.id)
  )
end

return purge
