-- One execution's small fields as a table, and stored as one packed text.
local corruption = require("lib.corruption")
local digits = require("lib.digits")
local keys = require("lib.keys")
local lifecycle = require("generated.lifecycle")
local values = require("lib.values")

local record = {}

-- How fields are stored: the number of this layout, whether the input is large, six numbers (0 when
-- absent), eight words ("" when absent; none has control characters), then the rare fields.
local layout = "<BBddddddssssssss"
local layout_number = 1

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

local function unpack_rare(fields, rare)
  local list = cmsgpack.unpack(rare)
  for position = 1, #list, 2 do
    fields[list[position]] = list[position + 1]
  end
end

-- Returns the fields, and the rare ones among them as they are stored.
function record.unpack(text)
  -- stylua: ignore
  local number, large, created_at, updated_at, started_at, expires_at, lease_ms, ended_at,
    state, lane, task, attempt, epoch, lease_id, worker, settled, rest
    = struct.unpack(layout, text)
  if number ~= layout_number then
    error("is of layout " .. number)
  end
  -- All at once: a table that grows field by field is laid out anew at every doubling.
  local fields = {
    attempt = attempt ~= "" and attempt or nil,
    created_at = created_at,
    ended_at = ended_at ~= 0 and ended_at or nil,
    epoch = epoch ~= "" and epoch or nil,
    expires_at = expires_at ~= 0 and expires_at or nil,
    lane = lane,
    large = large ~= 0 and large or nil,
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
    return fields, ""
  end
  local rare = text:sub(rest)
  unpack_rare(fields, rare)
  return fields, rare
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
  return struct.pack(
    "<BBddddddssssssssc0",
    layout_number,
    fields.large or 0,
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
    rare or pack_rare(fields)
  )
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

-- Returns nil when there is no such execution.
function record.load(id)
  local key = keys.execution(id)
  local text = values.read(key)
  if not text then
    return nil
  end
  local ok, fields, rare = pcall(record.unpack, text)
  if not ok then
    corruption.tell(key, "record", "does not parse")
  elseif lifecycle[fields.state] == nil then
    corruption.tell(key, "state", fields.state == "" and "is missing" or "is unknown")
  end
  local timed = rare ~= "" and record.timed(fields)
  return { id = id, key = key, f = fields, rare = rare, timed = timed }
end

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

-- A field's number, or nil when it is not there.
function record.number(x, name)
  local text = x.f[name]
  return text and corruption.number(x.key, name, text)
end

-- The number of a field that must be there.
function record.need(x, name)
  return corruption.number(x.key, name, x.f[name])
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
