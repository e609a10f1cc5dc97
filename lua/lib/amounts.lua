-- Amounts by dimension, as they are written: "name amount,name amount", in the order of the names.
local limits = require("generated.limits")

local amounts = {}

function amounts.none()
  return { names = {}, of = {} }
end

-- Adds to a dimension; a new one comes after all others.
function amounts.add(list, name, amount)
  if list.of[name] == nil then
    list.names[#list.names + 1] = name
  end
  list.of[name] = (list.of[name] or 0) + amount
end

local function is_word(text)
  return #text >= 1 and #text <= limits.word_bytes and not text:find("[%c%s|,]")
end

local function whole(text)
  local value = #text <= 16 and tonumber(text) or nil
  if value == nil or value > limits.amount.max then
    return nil
  end
  return value
end

-- Splits a list at its commas; nil when an item is empty.
local function items_of(text)
  local items = {}
  for item in (text .. ","):gmatch("([^,]*),") do
    if item == "" then
      return nil
    end
    items[#items + 1] = item
  end
  return items
end

-- Reads what was written; a dimension that comes twice counts as the sum. Returns nil for what
-- cannot be read.
function amounts.parse(text)
  local list = amounts.none()
  if text == "" then
    return list
  end
  for _, item in ipairs(items_of(text) or { "" }) do
    local name, digits = item:match("^(%S+) (%d+)$")
    local amount = name ~= nil and is_word(name) and whole(digits) or nil
    if amount == nil then
      return nil
    end
    amounts.add(list, name, amount)
    if list.of[name] > limits.amount.max then
      return nil
    end
  end
  return list
end

function amounts.format(list)
  local parts = {}
  for position, name in ipairs(list.names) do
    parts[position] = string.format("%s %.0f", name, list.of[name])
  end
  return table.concat(parts, ",")
end

-- Reads limits: "name hard soft,…", each of both a number or "-". Returns nil for what cannot be.
function amounts.parse_limits(text)
  local list, known = {}, {}
  if text == "" then
    return list
  end
  for _, item in ipairs(items_of(text) or { "" }) do
    local name, hard, soft = item:match("^(%S+) (%S+) (%S+)$")
    if name == nil or not is_word(name) or known[name] then
      return nil
    end
    for _, digits in ipairs({ hard, soft }) do
      if digits ~= "-" and (digits:find("%D") or whole(digits) == nil) then
        return nil
      end
    end
    if hard ~= "-" and soft ~= "-" and tonumber(soft) > tonumber(hard) then
      return nil
    end
    known[name] = true
    list[#list + 1] = { name = name, hard = tonumber(hard), soft = tonumber(soft) }
  end
  return list
end

local shapes = {
  ok = "^ok$",
  soft_breach = "^soft_breach (%S+) (%d+) (%d+)$",
  hard_breach = "^hard_breach (%S+) (%d+) (%d+) [01]$",
}

-- Whether the text is what came of a report: "ok", or which limit was met, with "0" behind it when
-- nothing was counted.
function amounts.is_result(text)
  local shape = shapes[text:match("^[%l_]+") or ""]
  local name, current, limit = text:match(shape or "^$")
  if shape == nil or name == nil then
    return false
  end
  return name == "ok" or (is_word(name) and whole(current) ~= nil and whole(limit) ~= nil)
end

-- Whether the amounts of a report with this result were counted.
function amounts.counted(result)
  return not result:find("^hard_breach .* 0$")
end

return amounts
