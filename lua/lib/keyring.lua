-- The keys that sign waitpoint tokens: which one is current, and until when the others count.
local corruption = require("lib.corruption")
local keys = require("lib.keys")

local keyring = {}

-- What is wrong with a key now, as the code of a refusal; nil when it may sign or be shown.
function keyring.problem(kid, now_ms)
  local found = redis.call("HMGET", keys.keyring(), "s" .. kid, "x" .. kid, "current")
  if not found[1] then
    return "invalid_token"
  elseif found[3] == kid then
    return nil
  end
  -- Of the last millisecond of its grace a key still counts.
  local until_ms = found[2] and corruption.number(keys.keyring(), "x" .. kid, found[2]) or 0
  return until_ms < now_ms and "token_expired" or nil
end

-- Whether new tokens may be signed with it: those of a replaced key would die with its grace.
function keyring.is_current(kid)
  return redis.call("HGET", keys.keyring(), "current") == kid
end

-- Installs a key as the current one; the one before it counts until its grace is over, and secrets
-- whose grace is over are forgotten. Their ids stay taken: some process may still know the secret.
function keyring.install(kid, secret, grace_ms, now_ms)
  local key = keys.keyring()
  local flat = redis.call("HGETALL", key)
  local current = redis.call("HGET", key, "current")
  local removed = 0
  for position = 1, #flat, 2 do
    local old = flat[position]:match("^x(.+)$")
    if old and corruption.number(key, flat[position], flat[position + 1]) < now_ms then
      removed = removed + redis.call("HDEL", key, "s" .. old)
    end
  end
  if current then
    redis.call("HSET", key, "x" .. current, string.format("%.0f", now_ms + grace_ms))
  end
  redis.call("HSET", key, "s" .. kid, secret, "current", kid)
  return current or nil, removed
end

return keyring
