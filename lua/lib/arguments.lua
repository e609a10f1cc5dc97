-- Arguments as they arrive: one decoder per declared kind, which refuses what does not fit.
local digits = require("lib.digits")
local lifecycle = require("generated.lifecycle")
local amounts = require("lib.amounts")
local limits = require("generated.limits")
local retry = require("lib.retry")

local arguments = {}
local parse = digits.parse

-- Decoders return the value, or nil and what is wrong.
local function word(text)
  -- Most words are plain: telling so is much quicker than to look for what a word must not have.
  if #text <= limits.word_bytes and (text:find("^[%w._-]+$") or text:find("^[^%c%s|,]+$")) then
    return text
  end
  return nil, "must be 1 to 64 bytes without white space, commas or bars"
end

local function words(text, bytes_max, count_max)
  if #text > bytes_max or text:find("^,") or text:find(",,") or text:find(",$") then
    return nil, "must be a list of words"
  end
  local list = {}
  for item in text:gmatch("[^,]+") do
    if item:find("[%c%s|]") then
      return nil, "must be words without white space or bars"
    end
    list[#list + 1] = item
  end
  if #list > count_max then
    return nil, "has too many words"
  end
  return list
end

local function is_execution_id(text)
  return #text == 26 and text:find("^[0-9a-hjkmnp-tv-z]+$") ~= nil
end

local function is_id(text)
  return #text == 22 and not text:find("[^%w_-]")
end

local function is_kid(text)
  return #text >= 1 and #text <= limits.kid_bytes and not text:find("[^%w_-]")
end

local function points(text)
  local list, known = {}, {}
  for item in (text .. ","):gmatch("([^,]*),") do
    local id, key, kid = item:match("^(%S+) (%S+) (%S+)$")
    id = id or item
    local named = key == nil or (word(key) ~= nil and is_kid(kid))
    if not is_id(id) or known[id] or not named then
      return nil
    end
    known[id] = true
    list[#list + 1] = { id = id, key = key, kid = kid }
  end
  return list
end

-- For each tag two digests, one behind the other.
local function are_digests(text)
  local count = 0
  for item in (text .. ","):gmatch("([^,]*),") do
    if #item ~= 44 or item:find("[^%w_-]") then
      return false
    end
    count = count + 1
  end
  return count <= limits.tags_count
end

local decoders = {
  id = function(text)
    if not is_execution_id(text) then
      return nil, "is not an execution id"
    end
    return text
  end,
  word = word,
  ids = function(text)
    local list = {}
    for item in (text .. ","):gmatch("([^,]*),") do
      if not is_execution_id(item) then
        return nil, "is not a list of execution ids"
      end
      list[#list + 1] = item
    end
    if #list > limits.parts_max.members then
      return nil, "names too many executions"
    end
    return list
  end,
  digest = function(text)
    if #text ~= 22 or not text:find("^[%w_-]+$") then
      return nil, "is not a digest"
    end
    return text
  end,
  text = function(text)
    if #text > limits.text_bytes then
      return nil, "is longer than 2048 bytes"
    end
    return text
  end,
  input = function(text)
    if #text > limits.input_bytes then
      return nil, "is larger than 1 MiB"
    end
    return text
  end,
  failure = function(text)
    if #text > limits.failure_bytes then
      return nil, "is larger than 100 KiB"
    end
    return text
  end,
  tags = function(text)
    if #text > limits.tags_bytes then
      return nil, "is larger than 16 KiB"
    end
    return text
  end,
  tag_digests = function(text)
    if not are_digests(text) then
      return nil, "is not a list of digests of tags"
    end
    return text
  end,
  leaves = function(text)
    local set = {}
    for name in (text .. ","):gmatch("([^,]*),") do
      if lifecycle[name] == nil then
        return nil, "names no state"
      end
      set[name] = true
    end
    return set
  end,
  flag = function(text)
    if text ~= "0" and text ~= "1" then
      return nil, "is neither 0 nor 1"
    end
    return text == "1"
  end,
  class = function(text)
    if not limits.failure_classes[text] then
      return nil, "is not a failure class"
    end
    return text
  end,
  lane_state = function(text)
    if not limits.lane_states[text] then
      return nil, "is not a lane state"
    end
    return text
  end,
  retry = function(text)
    local policy = #text <= limits.word_bytes and retry.parse(text) or nil
    if
      policy == nil
      or policy.attempts < limits.attempts_max.min
      or policy.attempts > limits.attempts_max.max
      or policy.first_ms < limits.backoff_ms.min
      or policy.first_ms > limits.backoff_ms.max
      or policy.longest_ms < limits.backoff_ms.min
      or policy.longest_ms > limits.backoff_ms.max
      or policy.multiplier * 1000 < limits.multiplier_milli.min
      or policy.multiplier * 1000 > limits.multiplier_milli.max
    then
      return nil, "is not a retry policy"
    end
    return text
  end,
  capabilities = function(text)
    local list, why = words(text, limits.capabilities_bytes, limits.capabilities_count)
    if list == nil then
      return nil, why
    end
    return text
  end,
  lanes = function(text)
    local list, why = words(text, limits.lanes_bytes, limits.lanes_per_claim)
    if list == nil or #list == 0 then
      return nil, why or "names no lane"
    end
    for _, lane in ipairs(list) do
      if #lane > limits.word_bytes then
        return nil, "names a lane longer than 64 bytes"
      end
    end
    return list
  end,
  grant_of = function(text)
    if text ~= "runnable" and text ~= "leased" then
      return nil, "must be runnable or leased"
    end
    return text
  end,
  -- Leaves room for the position that each granted lease appends.
  lease_stem = function(text)
    if #text > limits.word_bytes - 4 then
      return nil, "is longer than 60 bytes"
    end
    return word(text)
  end,
  -- Waitpoints of a suspension: ids of issued ones, and id, key and signing key of new ones.
  points = function(text)
    local list = #text <= limits.waitpoints_bytes and points(text) or nil
    if list == nil or #list == 0 or #list > limits.waitpoints_per_suspension then
      return nil, "must be 1 to 64 different waitpoints"
    end
    return list
  end,
  condition = function(text)
    if text == "" or #text > limits.condition_bytes then
      return nil, "is empty or longer than 8192 bytes"
    end
    return text
  end,
  behaviour = function(text)
    if not limits.timeout_behaviours[text] then
      return nil, "is not a timeout behaviour"
    end
    return text
  end,
  waitpoint_scope = function(text)
    if text ~= "attempt" and text ~= "run" then
      return nil, "must be attempt or run"
    end
    return text
  end,
  kid = function(text)
    if not is_kid(text) then
      return nil, "must be 1 to 32 letters, digits, _ or -"
    end
    return text
  end,
  secret = function(text)
    if #text < 43 or #text > 171 or text:find("[^%w_-]") then
      return nil, "is not 32 to 128 bytes in base64url"
    end
    return text
  end,
  label = function(text)
    if #text > limits.label_bytes then
      return nil, "is longer than 256 bytes"
    end
    return text
  end,
  -- Names that begin with two underscores are the engine's own.
  signal_name = function(text)
    if text:find("^__") then
      return nil, "begins with two underscores"
    end
    return word(text)
  end,
  -- Nobody outside may look like the engine's own signals.
  signal_source = function(text)
    if text == "engine" then
      return nil, "is the engine's own"
    end
    return word(text)
  end,
  signal_category = function(text)
    if text == "timeout" then
      return nil, "is the engine's own"
    end
    return word(text)
  end,
  signal_payload = function(text)
    if #text > limits.signal_payload_bytes then
      return nil, "is larger than 64 KiB"
    end
    return text
  end,
  frame = function(text)
    if #text > limits.frame_bytes then
      return nil, "is larger than 64 KiB"
    end
    return text
  end,
  document = function(text)
    if #text > limits.summary_bytes then
      return nil, "is larger than 256 KiB"
    end
    return text
  end,
  frame_mode = function(text)
    if not limits.frame_modes[text] then
      return nil, "is not a mode of frames"
    end
    return text
  end,
  frame_encoding = function(text)
    if not limits.frame_encodings[text] then
      return nil, "is not an encoding"
    end
    return text
  end,
  -- What another partition was told; see `lib/owed`.
  owed_row = function(text)
    if #text > limits.text_bytes or not text:find("^%l+ %d+ [^ ]+ [^ ]+ [^ :]+:%d+$") then
      return nil, "is no row of what is owed"
    end
    return text
  end,
  budget_id = function(text)
    if #text < 1 or #text > limits.word_bytes or text:find("[^%w_.-]") then
      return nil, "must be 1 to 64 letters, digits, _, . or -"
    end
    return text
  end,
  budget_ids = function(text)
    local list = words(text, limits.budget_ids_bytes, limits.budgets_per_execution)
    for _, id in ipairs(list or {}) do
      if #id > limits.word_bytes or id:find("[^%w_.-]") then
        list = nil
        break
      end
    end
    if list == nil or #list == 0 then
      return nil, "must be 1 to 8 budget ids"
    end
    return text
  end,
  -- An execution anywhere: its partition and its id there.
  execution = function(text)
    if #text > 31 or not text:find("^%d+%-[0-9a-hjkmnp-tv-z]+$") or #text:match("[^-]+$") ~= 26 then
      return nil, "is not an execution id"
    end
    return text
  end,
  -- Amounts of dimensions; one that comes twice counts as the sum.
  amounts = function(text)
    local list = #text <= limits.amounts_bytes and amounts.parse(text) or nil
    if list == nil or #list.names == 0 or #list.names > limits.dimensions_per_report then
      return nil, "must be 1 to 32 dimensions with whole numbers"
    end
    return list
  end,
  dimension_limits = function(text)
    local list = #text <= limits.dimension_limits_bytes and amounts.parse_limits(text) or nil
    if list == nil or #list > limits.budget_dimensions then
      return nil, "must be at most 64 different dimensions with limits, none soft over hard"
    end
    return list
  end,
  usage_result = function(text)
    if #text > limits.label_bytes or not amounts.is_result(text) then
      return nil, "is not what comes of a report"
    end
    return text
  end,
  kinds = function(text)
    if text == "" or text:find("[^frc]") then
      return nil, "must name fresh, resumed or reclaimable work"
    end
    return text
  end,
}

-- The decoder of a declared kind: a named one, or a whole number within the bounds of that name.
function arguments.decoder_of(kind)
  if decoders[kind] ~= nil then
    return decoders[kind]
  end
  local choices = limits.choices[kind]
  if choices ~= nil then
    return function(text)
      if not choices[text] then
        return nil, "is none of the words that may stand here"
      end
      return text
    end
  end
  local least, most = limits[kind].min, limits[kind].max
  return function(text)
    local value = parse(text)
    if value == nil or value < least or value > most then
      return nil, string.format("must be a whole number from %.0f to %.0f", least, most)
    end
    return value
  end
end

return arguments
