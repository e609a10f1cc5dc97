-- Which inputs come with a claim, and which the claimer fetches beside it.
local keys = require("lib.keys")
local limits = require("generated.limits")
local values = require("lib.values")

local inputs = {}

-- The input of claimed work, or false when the claimer is to fetch it. A large one costs more to
-- pass through here than a batch of them costs to fetch; a single one only from some size on.
function inputs.with_claim(id, is_large, claimed_count)
  local key = keys.input(id)
  if not is_large then
    return values.read(key)
  elseif claimed_count == 1 and redis.call("STRLEN", key) <= limits.lone_input_bytes then
    return values.read(key)
  end
  return false
end

return inputs
