-- Find executions by what is stored of them, in one step through the listing or a tag's index:
-- it looks at no more than it is asked to, whether or not what it sees fits.
local keys = require("lib.keys")
local lifecycle = require("generated.lifecycle")
local op = require("lib.op")
local pending = require("lib.pending")
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

-- A row of the answer, in the order of its declaration, or nil when the execution does not fit.
local function fitting_row(id, arg)
  local found = redis.call(
    "HMGET",
    keys.execution(id),
    "state",
    "lane",
    "task",
    "created_at",
    "updated_at",
    "ended_at",
    "attempt",
    "reason",
    "flow",
    "tagged"
  )
  if differs(arg, found[1], found[2], found[3], found[4]) then
    return nil
  elseif arg.flow and found[1] and found[9] ~= arg.flow then
    return nil
  elseif arg.named and found[1] then
    local has = found[10] and tags.named(id, arg.named)
    if has == false then
      return nil
    end
    found[10] = has and 1 or 0
  else
    found[10] = 1
  end
  return { id, unpack(found, 1, 10) }
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
    pending.flush()
    local key = arg.tag and keys.tagged(arg.tag) or keys.executions()
    local from = arg.after and "(" .. arg.after or "-"
    local ids = redis.call("ZRANGE", key, from, "+", "BYLEX", "LIMIT", 0, arg.look + 1)
    local rows, looked = {}, 0
    while looked < math.min(#ids, arg.look) and #rows < arg.count do
      looked = looked + 1
      rows[#rows + 1] = fitting_row(ids[looked], arg)
    end
    return op.outcome("searched", {
      executions = rows,
      looked = looked,
      next = looked < #ids and ids[looked] or nil,
    })
  end,
})
