-- Stored records that do not parse: whoever meets one tells its key and field, and never guesses.
local digits = require("lib.digits")

local corruption = {}

-- From here on not every whole number is one of Lua's.
local exact_max = 9007199254740992

-- The hash tag in front of the key says nothing about the record.
local function untagged(key)
  return key:match("}:(.+)$") or key
end

-- Gives up the operation with an answer of its own; see lib/op.
function corruption.tell(key, field, why)
  error({ corrupt = { untagged(key), field, why } })
end

-- The same as one text, for a list that tells it beside the good ones.
function corruption.line(damage)
  local key, field, why = unpack(damage)
  return untagged(key) .. " " .. field .. " " .. why
end

-- The whole number that a text writes out; one that was stored as a number may be passed as well.
function corruption.number(key, field, text)
  local value = text
  if type(text) == "string" then
    value = digits.parse(text)
  end
  if not value or value < 0 or value % 1 ~= 0 or value >= exact_max then
    corruption.tell(key, field, text and "is no whole number" or "is missing")
  end
  return value
end

return corruption
