-- Stored records that do not parse: whoever meets one tells its key and field, and never guesses.
local corruption = {}

-- Gives up the operation with an answer of its own; see lib/op.
function corruption.tell(key, field, why)
  -- The hash tag in front of the key says nothing about the record.
  error({ corrupt = { key:match("}:(.+)$") or key, field, why } })
end

-- The whole number that a text stands for.
function corruption.number(key, field, text)
  local value = tonumber(text or nil)
  if value == nil or value < 0 or value % 1 ~= 0 then
    corruption.tell(key, field, text and "is no whole number" or "is missing")
  end
  return value
end

return corruption
