-- Whole numbers as text and back, each converted once: that costs more than what is done with it.
local digits = {}

-- Attempts and positions are small numbers; what was claimed together shares one epoch.
local texts, numbers, small_max = {}, {}, 1000
local latest, latest_text
local before, before_text
-- From here on not every whole number is one of Lua's.
local exact_max = 9007199254740992

-- A whole number's digits in full, where Lua's own conversion loses some; what is text stays.
function digits.of(value)
  if type(value) ~= "number" then
    return value
  elseif value == latest then
    return latest_text
  elseif value == before then
    return before_text
  end
  local text = texts[value]
  if text == nil then
    text = string.format("%.0f", value)
    if value < small_max then
      texts[value] = text
    else
      before, before_text = latest, latest_text
      latest, latest_text = value, text
    end
  end
  return text
end

-- The number that a text of up to 16 digits writes out, or nil when it is no such text.
function digits.parse(text)
  if text == latest_text then
    return latest
  end
  local value = numbers[text]
  if value == nil then
    if #text > 16 or not text:find("^%d+$") then
      return nil
    end
    value = tonumber(text)
    if #text < 4 then
      numbers[text] = value
    elseif #text == 16 and text:byte() ~= 48 and value < exact_max then
      before, before_text = latest, latest_text
      latest, latest_text = value, text
    end
  end
  return value
end

return digits
