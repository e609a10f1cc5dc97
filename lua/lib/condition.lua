-- Resume conditions: reads their stored text, and tells what each signal contributes to them.
local limits = require("generated.limits")

-- Tokens in prefix order, one space between: `s <wp> <matcher>`, `a <k> <node>*k` for all,
-- `o <k> <node>*k` for any, `c <w|s|i> <n> <matcher> <k> <wp>*k` for a count of distinct
-- waitpoints, signals or sources; or alone `operator` or `timeout`. A waitpoint is its index.
-- A matcher is `*`, or some of `n:<names>|c:<category>|t:<source>|r:<correlation>` in this order.
local condition = {}

local function is_word(text)
  return #text >= 1 and #text <= limits.word_bytes and not text:find("[%c%s|,]")
end

-- Each well-formed sequence becomes a letter, so that only what is none stays behind.
local function is_utf8(text)
  local sequences = {
    "\240[\144-\191][\128-\191][\128-\191]",
    "[\241-\243][\128-\191][\128-\191][\128-\191]",
    "\244[\128-\143][\128-\191][\128-\191]",
    "\224[\160-\191][\128-\191]",
    "\237[\128-\159][\128-\191]",
    "[\225-\236\238\239][\128-\191][\128-\191]",
    "[\194-\223][\128-\191]",
  }
  for _, sequence in ipairs(sequences) do
    text = text:gsub(sequence, "x")
  end
  return not text:find("[\128-\255]")
end

-- Percent-encoded text, or nil unless it is what an encoder writes.
local function percent_decode(text)
  local decoded = text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  local encoded = decoded:gsub("[^%w_.~-]", function(byte)
    return string.format("%%%02X", byte:byte())
  end)
  local fits = #decoded >= 1 and #decoded <= limits.label_bytes
  return encoded == text and fits and is_utf8(decoded) and decoded or nil
end

local function read_names(text)
  local names = {}
  for name in (text .. ","):gmatch("([^,]*),") do
    if not is_word(name) then
      return nil, "not_a_word"
    end
    names[#names + 1] = name
  end
  return names
end

-- Words that no sender may use: whoever waits for one would wait for ever.
local function is_reserved(letter, text)
  if letter == "n" then
    return ("," .. text):find(",__", 1, true) ~= nil
  end
  return text == (letter == "c" and "timeout" or "engine")
end

local function read_field(match, letter, text)
  if letter == "n" then
    local why
    match.names, why = read_names(text)
    return why or is_reserved(letter, text) and "reserved_word" or nil
  elseif letter == "r" then
    match.correlation = percent_decode(text)
    return match.correlation == nil and "invalid_correlation_id" or nil
  elseif not is_word(text) then
    return "not_a_word"
  elseif is_reserved(letter, text) then
    return "reserved_word"
  end
  match[letter == "c" and "category" or "source"] = text
end

local function read_matcher(token)
  local match, last = {}, 0
  if token == "*" then
    return match
  end
  for field in (token .. "|"):gmatch("([^|]*)|") do
    local letter, text = field:match("^([nctr]):(.*)$")
    local order = letter and ("nctr"):find(letter, 1, true) or 0
    if order <= last then
      return nil, "malformed"
    end
    last = order
    local why = read_field(match, letter, text)
    if why ~= nil then
      return nil, why
    end
  end
  return match
end

local function take(reader)
  reader.at = reader.at + 1
  return reader.tokens[reader.at] or ""
end

local function take_whole(reader)
  local token = take(reader)
  if #token > 4 or not (token == "0" or token:find("^[1-9]%d*$")) then
    return nil, "malformed"
  end
  return tonumber(token)
end

local function take_point(reader)
  local point, why = take_whole(reader)
  if point ~= nil and point >= reader.points then
    return nil, "unknown_waitpoint"
  end
  return point, why
end

local function take_single(reader, path)
  local point, why = take_point(reader)
  if point == nil then
    return nil, why
  end
  local match
  match, why = read_matcher(take(reader))
  reader.needed = reader.needed + 1
  return match and { kind = "single", path = path, point = point, match = match }, why
end

local function take_points(reader)
  local size, why = take_whole(reader)
  if size == nil or size == 0 then
    return nil, why or "empty_waitpoints"
  end
  local listens = {}
  for _ = 1, size do
    local point
    point, why = take_point(reader)
    if point == nil then
      return nil, why
    elseif listens[point] then
      return nil, "duplicate_waitpoints"
    end
    listens[point] = true
  end
  return listens, nil, size
end

local function take_count(reader, path)
  local by = take(reader)
  if by ~= "w" and by ~= "s" and by ~= "i" then
    return nil, "malformed"
  end
  local count, why = take_whole(reader)
  if count == nil or count == 0 then
    return nil, why or "count_zero"
  end
  local match, listens, size
  match, why = read_matcher(take(reader))
  if match == nil then
    return nil, why
  end
  listens, why, size = take_points(reader)
  if listens == nil then
    return nil, why
  elseif by == "w" and count > size then
    return nil, "count_exceeds_waitpoints"
  end
  reader.needed = reader.needed + count
  return { kind = "count", path = path, by = by, count = count, listens = listens, match = match }
end

local take_node

local function take_composite(reader, kind, path, depth)
  if depth > limits.condition_depth then
    return nil, "condition_depth_exceeded"
  end
  local size, why = take_whole(reader)
  if size == nil or size == 0 then
    return nil, why or "empty_members"
  end
  local members, stem = {}, path == "" and "" or path .. "."
  for position = 1, size do
    members[position], why = take_node(reader, stem .. (position - 1), depth + 1)
    if members[position] == nil then
      return nil, why
    end
  end
  return { kind = kind, path = path, members = members }
end

function take_node(reader, path, depth)
  local letter = take(reader)
  if letter == "s" then
    return take_single(reader, path)
  elseif letter == "c" then
    return take_count(reader, path)
  elseif letter == "a" or letter == "o" then
    return take_composite(reader, letter == "a" and "all" or "any", path, depth)
  end
  return nil, (letter == "operator" or letter == "timeout") and "misplaced_kind" or "malformed"
end

-- Reads a condition on so many waitpoints, or returns nil and the rule that it breaks. What is read
-- can be met, but for `operator` and `timeout`, which no signal ever meets.
function condition.parse(text, points)
  if #text > limits.condition_bytes then
    return nil, "condition_size_exceeded"
  elseif text:find("^ ") or text:find("  ", 1, true) or text:find(" $") then
    return nil, "malformed"
  elseif text == "operator" or text == "timeout" then
    return { kind = text, path = "" }
  end
  local reader = { tokens = {}, at = 0, points = points, needed = 0 }
  for token in text:gmatch("[^ ]+") do
    reader.tokens[#reader.tokens + 1] = token
  end
  local node, why = take_node(reader, "", 1)
  if node == nil then
    return nil, why
  elseif reader.at < #reader.tokens then
    return nil, "malformed"
  elseif reader.needed > limits.condition_signals then
    return nil, "too_many_signals"
  end
  return node
end

local function is_named(names, name)
  for _, wanted in ipairs(names) do
    if wanted == name then
      return true
    end
  end
  return false
end

local function matches(match, signal)
  return (match.names == nil or is_named(match.names, signal.name))
    and (match.category == nil or match.category == signal.category)
    and (match.source == nil or match.source == signal.source)
    and (match.correlation == nil or match.correlation == signal.correlation)
end

-- What a signal counts as at one leaf; nil when it counts for nothing.
local function identity_at(leaf, signal)
  if not matches(leaf.match, signal) then
    return nil
  elseif leaf.kind == "single" then
    return "x"
  elseif leaf.by == "w" then
    return string.format("%.0f", signal.point)
  elseif leaf.by == "s" then
    return signal.id
  elseif signal.identity == "" then
    return nil
  end
  return #signal.source .. ":" .. signal.source .. signal.identity
end

local function rank(effect)
  return ({ none = 0, mismatch = 1, dup = 2, new = 3 })[effect]
end

local function offer(node, signal, tokens, additions)
  if node.kind == "all" or node.kind == "any" then
    local strongest = "none"
    for _, member in ipairs(node.members) do
      local effect = offer(member, signal, tokens, additions)
      strongest = rank(effect) > rank(strongest) and effect or strongest
    end
    return strongest
  end
  local hears = node.point == signal.point or (node.listens and node.listens[signal.point])
  if not hears then
    return "none"
  end
  local identity = identity_at(node, signal)
  if identity == nil then
    return "mismatch"
  end
  local token = node.path .. "|" .. identity
  if tokens[token] ~= nil then
    return "dup"
  end
  additions[#additions + 1] = token
  return "new"
end

-- What a signal does to a condition whose earlier signals left `tokens`: "new", "dup", "mismatch"
-- or "none", and the tokens that it adds. Every leaf on its waitpoint is offered the signal.
function condition.offer(node, signal, tokens)
  local additions = {}
  return offer(node, signal, tokens, additions), additions
end

-- How many tokens each leaf has, by its path.
function condition.tally(tokens)
  local tally = {}
  for token in pairs(tokens) do
    local path = token:match("^([^|]*)|")
    tally[path] = (tally[path] or 0) + 1
  end
  return tally
end

-- Whether so many tokens meet the condition. Composites are worked out anew each time.
function condition.satisfied(node, tally)
  if node.kind == "single" then
    return (tally[node.path] or 0) >= 1
  elseif node.kind == "count" then
    return (tally[node.path] or 0) >= node.count
  elseif node.kind ~= "all" and node.kind ~= "any" then
    return false
  end
  local decisive = node.kind == "any"
  for _, member in ipairs(node.members) do
    if condition.satisfied(member, tally) == decisive then
      return decisive
    end
  end
  return not decisive
end

return condition
