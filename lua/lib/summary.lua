-- The rolling document of an attempt: "<version> <time of change>", a line break, the document.
local corruption = require("lib.corruption")
local keys = require("lib.keys")

local summary = {}

-- Returns nil when nothing was ever summarized.
function summary.load(id, attempt)
  local text = redis.call("GET", keys.summary(id, attempt))
  if not text then
    return nil
  end
  local version, updated_at, start = text:match("^(%d+) (%d+)\n()")
  if version == nil then
    corruption.tell(keys.summary(id, attempt), "record", "does not parse")
  end
  return {
    version = tonumber(version),
    updated_at = tonumber(updated_at),
    document = text:sub(start),
  }
end

return summary
