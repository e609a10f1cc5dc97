-- What each lane lets through: read once per server call, however many operations ask.
local corruption = require("lib.corruption")
local keys = require("lib.keys")
local limits = require("generated.limits")

local lanes = {}

-- lane → its state, or false when it is not known yet.
local states

function lanes.begin()
  states = {}
end

function lanes.state(lane)
  local state = states[lane]
  if state == nil then
    state = redis.call("HGET", keys.lanes(), lane)
    if state and not limits.lane_states[state] then
      corruption.tell(keys.lanes(), lane, "is unknown")
    end
    states[lane] = state
  end
  return state
end

function lanes.set(lane, state)
  states[lane] = state
  redis.call("HSET", keys.lanes(), lane, state)
end

return lanes
