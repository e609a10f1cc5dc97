-- One execution's small fields as a table, and stored as one packed text.
local corruption = require("lib.corruption")
local digits = require("lib.digits")
local keys = require("lib.keys")
local lifecycle = require("generated.lifecycle")
local values = require("lib.values")

local record = {}

-- How fields are stored: the number of this layout, flags (1: the input is large, 2: there are rare
-- fields, so that a cut is noticed), six numbers (0 when absent), eight words ("" when absent; none
-- has control characters), then the rare fields.
local layout = "<BBddddddssssssss"
local layout_number = 1
local flags_max = 3
-- Times are far below; from here on not every whole number is one of Lua's.
local exact_max = 9007199254740992

-- Fields with a place in the layout. All others are rare: a list of names and texts, by name.
local placed = {
  attempt = true,
  created_at = true,
  ended_at = true,
  epoch = true,
  expires_at = true,
  lane = true,
  large = true,
  lease_id = true,
  lease_ms = true,
  settled = true,
  started_at = true,
  state = true,
  task = true,
  updated_at = true,
  worker = true,
}

-- Placed as numbers, which a load has checked.
local measured = {
  created_at = true,
  ended_at = true,
  expires_at = true,
  lease_ms = true,
  started_at = true,
  updated_at = true,
}

local function refuse(why)
  error({ unreadable = why })
end

local function unpack_rare(fields, rare)
  local list, more = cmsgpack.unpack(rare)
  if type(list) ~= "table" or more ~= nil or #list == 0 then
    refuse("does not parse")
  end
  for position = 1, #list, 2 do
    local name, value = list[position], list[position + 1]
    local is_text = type(name) == "string" and type(value) == "string"
    if not is_text or placed[name] or fields[name] ~= nil then
      refuse("does not parse")
    end
    fields[name] = value
  end
end

-- In one expression: asking each field by its name would cost more than all of the unpacking.
-- stylua: ignore
local function is_sound(
  created_at, updated_at, started_at, expires_at, lease_ms, ended_at, lane, task)
  return created_at % 1 + updated_at % 1 + started_at % 1
      + expires_at % 1 + lease_ms % 1 + ended_at % 1 == 0
    and created_at > 0 and updated_at > 0 and started_at >= 0
    and expires_at >= 0 and lease_ms >= 0 and ended_at >= 0
    and created_at + updated_at + started_at + expires_at + lease_ms + ended_at < exact_max
    and lane ~= "" and task ~= ""
end

-- Returns the fields as they are, the rare ones among them as they are stored, and whether those
-- with a place can be what was stored; gives up when they cannot be told apart.
function record.unpack(text)
  -- stylua: ignore
  local number, flags, created_at, updated_at, started_at, expires_at, lease_ms, ended_at,
    state, lane, task, attempt, epoch, lease_id, worker, settled, rest
    = struct.unpack(layout, text)
  if number ~= layout_number then
    refuse("is of layout " .. number)
  elseif flags > flags_max or (flags >= 2) ~= (rest <= #text) then
    refuse("does not parse")
  end
  -- stylua: ignore
  local sound = is_sound(
    created_at, updated_at, started_at, expires_at, lease_ms, ended_at, lane, task)
  -- All at once: a table that grows field by field is laid out anew at every doubling.
  local fields = {
    attempt = attempt ~= "" and attempt or nil,
    created_at = created_at,
    ended_at = ended_at ~= 0 and ended_at or nil,
    epoch = epoch ~= "" and epoch or nil,
    expires_at = expires_at ~= 0 and expires_at or nil,
    lane = lane,
    large = flags % 2 == 1 and 1 or nil,
    lease_id = lease_id ~= "" and lease_id or nil,
    lease_ms = lease_ms ~= 0 and lease_ms or nil,
    settled = settled ~= "" and settled or nil,
    started_at = started_at ~= 0 and started_at or nil,
    state = state,
    task = task,
    updated_at = updated_at,
    worker = worker ~= "" and worker or nil,
  }
  if rest > #text then
    return fields, "", sound
  end
  local rare = text:sub(rest)
  unpack_rare(fields, rare)
  return fields, rare, sound
end

-- The fields without a place, in the order of their names: equal fields are equal bytes.
local function pack_rare(fields)
  local names, count = {}, 0
  for name in pairs(fields) do
    if not placed[name] then
      count = count + 1
      names[count] = name
    end
  end
  if count == 0 then
    return ""
  end
  table.sort(names)
  local list = {}
  for position = 1, count do
    local name = names[position]
    list[2 * position - 1], list[2 * position] = name, digits.of(fields[name])
  end
  return cmsgpack.pack(list)
end

-- `rare` holds the rare fields as they are stored already; without it they are packed anew.
function record.pack(fields, rare)
  rare = rare or pack_rare(fields)
  return struct.pack(
    "<BBddddddssssssssc0",
    layout_number,
    (fields.large and 1 or 0) + (rare == "" and 0 or 2),
    fields.created_at,
    fields.updated_at,
    fields.started_at or 0,
    fields.expires_at or 0,
    fields.lease_ms or 0,
    fields.ended_at or 0,
    fields.state,
    fields.lane,
    fields.task,
    digits.of(fields.attempt) or "",
    digits.of(fields.epoch) or "",
    fields.lease_id or "",
    fields.worker or "",
    fields.settled or "",
    rare
  )
end

-- Rare fields that neither a first lease nor its completion reads or writes, but for the time for
-- which it is kept afterwards.
local dormant = {
  key = true,
  priority = true,
  reclaims_max = true,
  retention_ms = true,
  retry = true,
  tagged = true,
}

-- Returns whether there are no others, and that time.
local function are_dormant(rare)
  local fields = {}
  unpack_rare(fields, rare)
  for name in pairs(fields) do
    if not dormant[name] then
      return false
    end
  end
  local text = fields.retention_ms
  local retention_ms = text and digits.parse(text)
  return text == nil or retention_ms ~= nil, retention_ms
end

-- The fields of plain work: what is sound and has no rare fields but dormant ones; nil for all
-- else. Gives up when they cannot be told apart.
function record.unpack_plain(text)
  -- stylua: ignore
  local number, flags, created_at, updated_at, started_at, expires_at, lease_ms, ended_at,
    state, lane, task, attempt, epoch, lease_id, worker, _, rest
    = struct.unpack(layout, text)
  -- stylua: ignore
  local is_plain = number == layout_number and flags <= flags_max
    and (flags >= 2) == (rest <= #text)
    and is_sound(
      created_at, updated_at, started_at, expires_at, lease_ms, ended_at, lane, task)
  local rare, retention_ms = "", nil
  if is_plain and flags >= 2 then
    rare = text:sub(rest)
    is_plain, retention_ms = are_dormant(rare)
  end
  if not is_plain then
    return nil
  end
  -- stylua: ignore
  return state, lane, task, created_at, started_at, expires_at, lease_ms,
    attempt, epoch, lease_id, worker, flags, rare, retention_ms
end

-- Stores them again, after they were changed.
-- stylua: ignore
function record.pack_plain(
  state, lane, task, created_at, updated_at, started_at, expires_at, lease_ms, ended_at,
  attempt, epoch, lease_id, worker, settled, flags, rare)
  return struct.pack("<BBddddddssssssssc0", layout_number, flags,
    created_at, updated_at, started_at, expires_at, lease_ms, ended_at,
    state, lane, task, attempt, epoch, lease_id, worker, settled, rare)
end

-- Whether there is a time that is not the score of the execution's own index.
function record.timed(f)
  return f.deadline_at ~= nil
    or f.grant_until ~= nil
    or f.wait_until ~= nil
    or f.permit_until ~= nil
end

function record.new(id)
  return { id = id, key = keys.execution(id), f = {}, rare = "", timed = false }
end

-- Several keys are read with one command, which is silent about values of another type.
local function require_absence(key)
  local kind = redis.call("TYPE", key).ok
  if kind ~= "none" and kind ~= "string" then
    corruption.tell(key, "record", "is no string")
  end
end

local function tell_unsound(key, fields)
  for _, name in ipairs({ "lane", "task", "created_at", "updated_at" }) do
    if fields[name] == "" or fields[name] == 0 then
      corruption.tell(key, name, "is missing")
    end
  end
  for name, value in pairs(fields) do
    if placed[name] and type(value) == "number" then
      corruption.number(key, name, value)
    end
  end
  corruption.tell(key, "record", "holds times that cannot be")
end

local function tell_misfit(key, fields)
  if lifecycle[fields.state] == nil then
    corruption.tell(key, "state", fields.state == "" and "is missing" or "is unknown")
  end
  corruption.tell(key, "ended_at", fields.ended_at and "is too early" or "is missing")
end

-- Returns nil when there is no such execution.
function record.load(id)
  local key = keys.execution(id)
  local text = values.read(key)
  if not text then
    require_absence(key)
    return nil
  end
  local ok, fields, rare, sound = pcall(record.unpack, text)
  if not ok then
    corruption.tell(key, "record", fields.unreadable or "does not parse")
  elseif not sound then
    tell_unsound(key, fields)
  end
  local leaf = lifecycle[fields.state]
  if leaf == nil or (leaf.index == "terminal") == (fields.ended_at == nil) then
    tell_misfit(key, fields)
  end
  local timed = rare ~= "" and record.timed(fields)
  return { id = id, key = key, f = fields, rare = rare, timed = timed }
end

-- The fields for whoever shows what is damaged, as far as they can be told apart, and what is wrong
-- with them: key, field and why.
function record.inspect(id)
  local ok, x = pcall(record.load, id)
  if ok then
    return x and x.f or {}, x == nil and { keys.execution(id), "record", "is missing" } or nil
  elseif type(x) ~= "table" or x.corrupt == nil then
    error(x, 0)
  end
  local text = values.read(keys.execution(id))
  local parses, fields = pcall(record.unpack, text or "")
  return parses and fields or {}, x.corrupt
end

-- Asked of every new id, so it does not look for a value of another type.
function record.exists(id)
  return values.read(keys.execution(id)) ~= false
end

-- Reads the records of the first so many ids together; whoever loads them later reads no more.
function record.prefetch(ids, most)
  local names, count = {}, math.min(#ids, most)
  for position = 1, count do
    names[position] = keys.execution(ids[position])
  end
  values.prefetch(names, count)
end

-- Sets a field to text or to a whole number; nil removes it. Nothing is kept before `save`.
function record.set(x, name, value)
  local f = x.f
  if f[name] ~= value then
    f[name] = value
    if not placed[name] then
      x.rare = nil
    end
  end
end

-- Gives a new record those fields of an argument that are not left out.
function record.take_over(x, names, arg)
  local f = x.f
  for position = 1, #names do
    local name = names[position]
    f[name] = arg[name] or nil
  end
  x.rare = nil
end

-- A field's number, or nil when it is not there.
function record.number(x, name)
  local value = x.f[name]
  if value == nil or measured[name] then
    return value
  end
  return corruption.number(x.key, name, value)
end

-- The number of a field that must be there.
function record.need(x, name)
  local value = x.f[name]
  if value ~= nil and measured[name] then
    return value
  end
  return corruption.number(x.key, name, value)
end

function record.save(x)
  local f = x.f
  local rare = x.rare or pack_rare(f)
  x.rare = rare
  values.write(x.key, record.pack(f, rare))
end

function record.remove(x)
  values.remove(x.key)
end

return record
