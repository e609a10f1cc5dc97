-- Find executions by what is stored of them, in one step through the listing or a tag's index:
-- it looks at no more than it is asked to, whether or not what it sees fits.
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local lifecycle = require("generated.lifecycle")
local listing = require("lib.listing")
local op = require("lib.op")
local record = require("lib.record")
local tags = require("lib.tags")

-- What is wanted of the words that every record has. What is missing cannot be judged: it passes,
-- so that whoever reads the answer is told of the damage.
local function differs(arg, state, lane, task, created_at)
  local known = state and lifecycle[state] ~= nil
  local at_ms = tonumber(created_at or nil)
  return (arg.states and known and not arg.states[state])
    or (arg.lane and lane and lane ~= arg.lane)
    or (arg.task and task and task ~= arg.task)
    or (arg.created_from and at_ms and at_ms < arg.created_from)
    or (arg.created_to and at_ms and at_ms >= arg.created_to)
end

local function has_tag(id, f, arg)
  if not f.tagged then
    return false
  end
  local has = tags.named(id, arg.named)
  if has == nil then
    return true, { keys.tag_digests(id), "record", "is missing" }
  end
  return has
end

-- A row of the answer, in the order of its declaration, or nil when the execution does not fit.
local function fitting_row(id, arg)
  local f, damage = record.inspect(id)
  if differs(arg, f.state, f.lane, f.task, f.created_at) then
    return nil
  elseif arg.flow and f.state and f.flow ~= arg.flow then
    return nil
  elseif arg.named and f.state then
    local has, lost = has_tag(id, f, arg)
    if not has then
      return nil
    end
    damage = damage or lost
  end
  return {
    id,
    f.state or false,
    f.lane or false,
    f.task or false,
    f.created_at or false,
    f.updated_at or false,
    f.ended_at or false,
    f.attempt or false,
    f.reason or false,
    f.flow or false,
    damage and corruption.line(damage) or false,
  }
end

return op.define({
  name = "partition.search",
  events = {},
  reads = true,
  args = {
    "after:id?",
    "count:search_count",
    "look:search_count",
    "tag:digest?",
    "named:digest?",
    "states:leaves?",
    "lane:word?",
    "task:word?",
    "created_from:ms?",
    "created_to:ms?",
    "flow:id?",
  },
  returns = { searched = { "executions:found", "looked:int", "next:text?" } },
  run = function(arg)
    local key = arg.tag and keys.tagged(arg.tag) or keys.executions()
    local ids, more = listing.page(key, arg.after, arg.look)
    record.prefetch(ids, #ids)
    local rows, looked = {}, 0
    while looked < #ids and #rows < arg.count do
      looked = looked + 1
      rows[#rows + 1] = fitting_row(ids[looked], arg)
    end
    return op.outcome("searched", {
      executions = rows,
      looked = looked,
      next = (more or looked < #ids) and ids[looked] or nil,
    })
  end,
})
