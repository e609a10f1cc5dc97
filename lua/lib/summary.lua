-- The rolling document of an attempt: "<version> <time of change>", a line break, the document.
local keys = require("lib.keys")

local summary = {}

-- Returns nil when nothing was ever summarized.
function summary.load(id, attempt)
  local text = redis.call("GET", keys.summary(id, attempt))
  if not text then
    return nil
  end
  local version, updated_at, start = text:match("^(%d+) (%d+)\n()")
  return {
    version = tonumber(version),
    updated_at = tonumber(updated_at),
    document = text:sub(start),
  }
end

return summary
