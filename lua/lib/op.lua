-- Operations as data: names, arguments, outcomes; the only module that knows wire positions.
local arguments = require("lib.arguments")
local admission = require("lib.admission")
local backlog = require("lib.backlog")
local claimed = require("lib.claimed")
local clock = require("lib.clock")
local digits = require("lib.digits")
local feed = require("lib.feed")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local lanes = require("lib.lanes")
local limit = require("lib.limit")
local limits = require("generated.limits")
local leases = require("lib.leases")
local lists = require("lib.lists")
local optional = require("lib.optional")
local pending = require("lib.pending")
local record = require("lib.record")
local slots = require("lib.slots")
local values = require("lib.values")
local wake = require("lib.wake")

local op = {}
local registry = {}

-- Declared values as names and kinds, read once.
local function parse_fields(declared)
  local fields = {}
  for position, text in ipairs(declared) do
    local name, kind = text:match("^([%l_]+):([%l_]+)")
    fields[position] = { name = name, kind = kind }
  end
  return fields
end

-- Whether all fields are flags and numbers, so that the answer travels as one text.
local function is_short(fields)
  for _, field in ipairs(fields) do
    if field.kind ~= "flag" and field.kind ~= "int" then
      return false
    end
  end
  return true
end

local strict = {
  __index = function(_, name)
    error("HOLDFAST_BUG no such name: " .. tostring(name))
  end,
}

-- Prepares an operation when it is first called: while a library loads, a server offers none of
-- Lua's own functions.
local function prepare(spec)
  local names, decoders = {}, {}
  for position, text in ipairs(spec.args) do
    local name, kind, mark = text:match("^([%l_]+):([%l_]+)(%??)$")
    if kind == "id" and name == "id" then
      spec.id_at = position
    end
    local decode = lists.decoder_of(kind) or arguments.decoder_of(kind)
    names[position] = name
    decoders[position] = mark == "?" and optional(decode) or decode
  end
  spec.names, spec.decoders, spec.arity = names, decoders, #names
  spec.outcomes = {}
  for name, declared in pairs(spec.returns) do
    spec.outcomes[name] = parse_fields(declared)
    spec.outcomes[name].is_short = is_short(spec.outcomes[name])
  end
end

local function arity(spec)
  if spec.arity == nil then
    prepare(spec)
  end
  return spec.arity
end

-- Declares an operation: name, events that it may apply, arguments, outcomes, and how it runs. A
-- `quick` way gets the arguments as they arrive; it answers, or does nothing and returns nothing.
function op.define(spec)
  registry[spec.name] = spec
  return spec
end

-- An answer that a correct caller cannot expect: a code of the error catalogue and facts.
function op.refuse(code, details)
  local reply = { "refused", code }
  local names = {}
  for name in pairs(details) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    reply[#reply + 1] = name
    local value = details[name]
    reply[#reply + 1] = type(value) == "number" and string.format("%.0f", value) or tostring(value)
  end
  return { refusal = reply }
end

-- An expected answer: one of the outcomes that the operation declares.
function op.outcome(name, fields)
  return { name = name, fields = fields or {} }
end

local function encode_field(kind, value)
  if kind == "flag" then
    return value and 1 or 0
  elseif value == nil then
    return false
  elseif type(value) == "number" then
    return string.format("%.0f", value)
  end
  if kind == "claimed" then
    return claimed.encode(value)
  end
  -- All other lists, maps and rows are flat already.
  return value
end

-- The outcome and its fields with spaces between them; "-" for one that is absent.
local function encode_short(name, declared, fields)
  local text = name
  for position = 1, #declared do
    local field = declared[position]
    local value = fields[field.name]
    if field.kind == "flag" then
      text = text .. (value and " 1" or " 0")
    else
      text = text .. " " .. (digits.of(value) or "-")
    end
  end
  return text
end

local function encode(spec, answer)
  if answer.refusal ~= nil then
    return answer.refusal
  end
  local declared = spec.outcomes[answer.name]
  if declared == nil then
    error("HOLDFAST_BUG undeclared outcome " .. answer.name .. " of " .. spec.name)
  end
  if declared.is_short then
    return encode_short(answer.name, declared, answer.fields)
  end
  local reply, fields = { answer.name }, answer.fields
  for position = 1, #declared do
    local field = declared[position]
    reply[position + 1] = encode_field(field.kind, fields[field.name])
  end
  return reply
end

-- Room for most operations' arguments; see lib/record.
local function empty_arguments()
  return {
    id = nil,
    attempt = nil,
    lease_id = nil,
    epoch = nil,
    digest = nil,
    a = nil,
    b = nil,
    c = nil,
  }
end

local function decode(spec, args, first)
  local arg, names, decoders = empty_arguments(), spec.names, spec.decoders
  for position = 1, spec.arity do
    local value, why = decoders[position](args[first])
    if value == nil then
      return nil, op.refuse("invalid_input", { argument = names[position], why = why })
    end
    arg[names[position]] = value
    first = first + 1
  end
  return setmetatable(arg, strict)
end

local function run_one(spec, args, first, now_ms, now_us)
  local quick = spec.quick
  local answer = quick and quick(now_ms, unpack(args, first, first + spec.arity - 1))
  if answer then
    return encode(spec, answer)
  end
  local arg, refusal = decode(spec, args, first)
  if arg == nil then
    return refusal.refusal
  end
  answer = spec.run(arg, now_ms, now_us)
  if slots.news ~= nil then
    admission.run(now_ms)
  end
  return encode(spec, answer)
end

-- A fault in one operation of a batch must not touch the others.
local function run_safely(spec, args, first, now_ms, now_us)
  local ok, reply = pcall(run_one, spec, args, first, now_ms, now_us)
  if ok then
    return reply
  end
  local is_table = type(reply) == "table"
  if is_table and reply.corrupt ~= nil then
    return { "corrupt", unpack(reply.corrupt) }
  end
  return { "fault", is_table and reply.err or tostring(reply) }
end

-- The whole batch is measured before anything runs, so that a malformed one changes nothing.
local function measure(args, reads_only)
  local starts, ids, position = {}, {}, 1
  while position <= #args do
    local spec = registry[args[position]]
    if spec == nil or position + arity(spec) > #args or (reads_only and not spec.reads) then
      return nil
    end
    starts[#starts + 1] = position
    if spec.id_at ~= nil then
      ids[#ids + 1] = args[position + spec.id_at]
    end
    position = position + spec.arity + 1
  end
  return starts, ids
end

local done

-- Whether this is the first time that the current call asks for `name`.
function op.first(name)
  local first = not done[name]
  done[name] = true
  return first
end

-- Does what follows from an operation. What that frees of limits goes to those who wait for it;
-- what follows from there is for later.
local function follow_up(now_ms)
  backlog.run(now_ms, limits.work_per_call)
  if slots.news ~= nil then
    backlog.push("admit")
    backlog.run(now_ms, 1)
  end
end

backlog.handle("admit", function(_, now_ms)
  admission.run(now_ms)
  return 1
end)

local function serve(tags, args, reads_only)
  local starts, ids
  if #tags == 1 then
    starts, ids = measure(args, reads_only)
  end
  if starts == nil then
    return redis.error_reply("HOLDFAST_MALFORMED the call does not fit this library")
  end
  keys.bind(tags[1])
  pending.begin()
  values.begin()
  wake.begin()
  leases.begin()
  lanes.begin()
  limit.begin()
  slots.begin()
  hashes.begin()
  backlog.begin()
  done = {}
  local now_ms, now_us = clock.read()
  feed.begin(now_ms)
  local replies = {}
  record.prefetch(ids, #ids)
  for index, position in ipairs(starts) do
    replies[index] = run_safely(registry[args[position]], args, position + 1, now_ms, now_us)
    follow_up(now_ms)
  end
  if not reads_only then
    hashes.flush()
    values.flush()
    pending.flush()
    feed.flush()
    wake.finish(now_ms)
  end
  return replies
end

-- Registers the two entry points of the library: one that may write, one that only reads.
function op.register(name)
  redis.register_function({
    function_name = name,
    callback = function(tags, args)
      return serve(tags, args, false)
    end,
  })
  redis.register_function({
    function_name = name .. "_read",
    callback = function(tags, args)
      return serve(tags, args, true)
    end,
    flags = { "no-writes" },
  })
end

return op
