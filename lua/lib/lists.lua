-- Reads arguments that are lists of records: for each record a line of lengths, then its fields.
local arguments = require("lib.arguments")
local limits = require("generated.limits")
local optional = require("lib.optional")
local parts = require("lib.parts")

local lists = {}

local function plan_of(shape)
  local plan = {}
  for position, text in ipairs(shape) do
    local name, kind, mark = text:match("^([%l_]+):([%l_]+)(%??)$")
    local decode = arguments.decoder_of(kind)
    plan[position] = { name = name, decode = mark == "?" and optional(decode) or decode }
  end
  return plan
end

-- The record that begins at a place and the place after it, or nil and what is wrong.
local function decode_record(plan, text, from)
  local line_end = text:find("\n", from, true)
  if line_end == nil then
    return nil, "is cut off"
  end
  local record, place, position = {}, line_end + 1, 0
  for length in text:sub(from, line_end - 1):gmatch("%d+") do
    position = position + 1
    local slot = plan[position]
    if slot == nil then
      return nil, "has too many fields"
    end
    local value, why = slot.decode(text:sub(place, place + length - 1))
    if value == nil then
      return nil, slot.name .. " " .. why
    end
    record[slot.name] = value
    place = place + length
  end
  if position ~= #plan or place > #text + 1 then
    return nil, "is cut off"
  end
  return record, place
end

-- The decoder of a kind of list, or nil when there is no such kind.
function lists.decoder_of(kind)
  local shape, plan = parts[kind], nil
  if shape == nil then
    return nil
  end
  return function(text)
    plan = plan or plan_of(shape)
    local list, place = {}, 1
    while place <= #text do
      local record, after = decode_record(plan, text, place)
      if record == nil then
        return nil, string.format("number %d %s", #list + 1, after)
      end
      list[#list + 1] = record
      place = after
      if #list > limits.parts_max[kind] then
        return nil, string.format("has more than %d entries", limits.parts_max[kind])
      end
    end
    return list
  end
end

return lists
