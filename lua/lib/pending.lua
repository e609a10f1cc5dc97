-- Index writes of one server call, gathered so that a batch costs few commands per index.
--
-- Whoever reads an index flushes first; the call flushes at its end.
local bulk = require("lib.bulk")

local pending = {}

-- key → what is to be written there next: a list of values, their number `n`, and the command. What
-- is written to one key stays in order: another command for it sends what was gathered before.
local runs

function pending.begin()
  runs = {}
end

local function run_of(key, command)
  local run = runs[key]
  if run ~= nil and run.command ~= command then
    bulk.send(run.command, key, run, run.n)
    run = nil
  end
  if run == nil then
    run = { command = command, n = 0 }
    runs[key] = run
  end
  return run
end

local function put(command, key, value)
  local run = run_of(key, command)
  local n = run.n + 1
  run[n], run.n = value, n
end

local function put_pair(command, key, first, second)
  local run = run_of(key, command)
  local n = run.n
  run[n + 1], run[n + 2], run.n = first, second, n + 2
end

function pending.add_row(key, member, score)
  put_pair("ZADD", key, score, member)
end

function pending.remove_row(key, member)
  put("ZREM", key, member)
end

function pending.set_field(key, name, value)
  put_pair("HSET", key, name, value)
end

function pending.remove_field(key, name)
  put("HDEL", key, name)
end

function pending.flush()
  for key, run in pairs(runs) do
    runs[key] = nil
    bulk.send(run.command, key, run, run.n)
  end
end

return pending
