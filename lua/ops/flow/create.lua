-- Begin a flow: a graph of executions that ends when all of them have.
local flow = require("lib.flow")
local hashes = require("lib.hashes")
local keys = require("lib.keys")
local op = require("lib.op")

local wishes = { "kind", "failure", "completion", "root", "retention_ms" }

local function differs(h, arg)
  for _, name in ipairs(wishes) do
    local wished = arg[name] and tostring(arg[name]) or nil
    local stored = hashes.get(h, name)
    if wished ~= (stored and tostring(stored)) then
      return name
    end
  end
  if (redis.call("GET", keys.flow_tags(h.id)) or nil) ~= (arg.tags or nil) then
    return "tags"
  end
end

return op.define({
  name = "flow.create",
  events = {},
  args = {
    "flow:id",
    "kind:word",
    "failure:flow_failure?",
    "completion:flow_completion?",
    "root:id?",
    "retention_ms:retention_ms?",
    "tags:tags?",
  },
  returns = { created = {}, exists = { "state:text" } },
  run = function(arg, now_ms)
    local h = flow.load(arg.flow)
    if h ~= nil then
      local name = differs(h, arg)
      if name then
        return op.refuse("flow_differs", { argument = name, flow = arg.flow })
      end
      return op.outcome("exists", { state = flow.state(h) })
    end
    if arg.completion == "root" and not arg.root then
      return op.refuse("invalid_input", { argument = "root", why = "is missing" })
    end
    local values = {}
    for _, name in ipairs(wishes) do
      values[name] = arg[name] or nil
    end
    flow.create(arg.flow, values, now_ms)
    if arg.tags then
      redis.call("SET", keys.flow_tags(arg.flow), arg.tags)
    end
    return op.outcome("created")
  end,
})
