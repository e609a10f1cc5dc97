-- Read what each attempt of an execution used of each budget, as far as the budgets counted it.
local keys = require("lib.keys")
local op = require("lib.op")

return op.define({
  name = "usage.totals",
  events = {},
  reads = true,
  args = { "id:id" },
  returns = { found = { "totals:map", "unsettled:int" } },
  run = function(arg)
    local flat, totals = redis.call("HGETALL", keys.usage(arg.id)), {}
    local entries, results = 0, 0
    for position = 1, #flat, 2 do
      local mark = flat[position]:sub(1, 1)
      if mark == "a" then
        totals[#totals + 1] = flat[position]:sub(2)
        totals[#totals + 1] = flat[position + 1]
      elseif mark == "e" then
        entries = entries + 1
      elseif mark == "r" then
        results = results + 1
      end
    end
    return op.outcome("found", { totals = totals, unsettled = entries - results })
  end,
})
