-- Which inputs come with a claim, and which the claimer fetches beside it.
local keys = require("lib.keys")
local limits = require("generated.limits")
local values = require("lib.values")

local inputs = {}

-- The input of claimed work, or false when the claimer is to fetch it. A large one costs more to
-- pass through here than a batch of them costs to fetch; a single one only from some size on.
function inputs.with_claim(id, is_large, claimed_count)
  if is_large and claimed_count > 1 then
    return false
  end
  local key = keys.input(id)
  if is_large and redis.call("STRLEN", key) > limits.lone_input_bytes then
    return false
  end
  return values.read(key)
end

return inputs
