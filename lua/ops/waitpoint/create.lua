-- Issue a waitpoint before its suspension: signals that come early are kept for it.
local fence = require("lib.fence")
local keyring = require("lib.keyring")
local op = require("lib.op")
local waitpoints = require("lib.waitpoints")

-- Whether the call was answered with this waitpoint before, and it is still worth something.
local function is_repeated(x, known, arg)
  return known.state == "pending"
    and known.key == arg.key
    and known.scope == arg.scope
    and waitpoints.alive(x, known)
end

return op.define({
  name = "waitpoint.create",
  events = {},
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "waitpoint:digest",
    "key:word",
    "kid:kid",
    "scope:waitpoint_scope",
    "expires_ms:waitpoint_ms?",
  },
  returns = { created = { "expires_at:int?", "replayed:flag" } },
  run = function(arg, now_ms)
    local x, answer = fence.check(arg, now_ms)
    if x == nil then
      return answer
    end
    local known = waitpoints.load(x, arg.waitpoint)
    if known then
      if not is_repeated(x, known, arg) then
        return op.refuse("waitpoint_already_exists", { waitpoint = arg.waitpoint })
      end
      return op.outcome("created", { expires_at = known.expires_at, replayed = true })
    end
    if not keyring.is_current(arg.kid) then
      return op.refuse("signing_key_replaced", { kid = arg.kid })
    elseif not waitpoints.room(x, 1) then
      return op.refuse("waitpoint_limit_exceeded", {})
    end
    local point = waitpoints.new(x, arg.waitpoint, arg.key, arg.kid, arg.scope, now_ms)
    point.expires_at = arg.expires_ms and now_ms + arg.expires_ms or nil
    waitpoints.save(x, point)
    return op.outcome("created", { expires_at = point.expires_at, replayed = false })
  end,
})
