-- Takes executions that cannot be read out of the way of all others, for whoever mends them.
local backlog = require("lib.backlog")
local flow = require("lib.flow")
local record = require("lib.record")
local transition = require("lib.transition")

local quarantine = {}

local function read(id)
  local x = record.load(id)
  if x ~= nil and x.f.flow ~= nil then
    flow.of(x)
  end
  return x
end

-- Returns the execution, or nil when it is gone, or it or its flow is damaged: its row is to be
-- taken away then. Work that is stuck tells of damage, and puts the row back once it can be read.
function quarantine.load(id)
  local ok, x = pcall(read, id)
  if ok then
    return x
  elseif type(x) ~= "table" or x.corrupt == nil then
    error(x, 0)
  end
  backlog.push("restore " .. id)
  return nil
end

-- restore <execution>: puts it back into its index, if it can be read again.
backlog.handle("restore", function(words, now_ms)
  local x = read(words[2])
  if x ~= nil then
    transition.commit(x, now_ms)
  end
  return 1
end)

return quarantine
