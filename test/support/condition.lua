-- Shows lib/condition to tests: reads conditions and offers them signals, many cases in one call.
local condition = require("lib.condition")

local function offered(node, signals)
  local rows, tokens = {}, {}
  for position, signal in ipairs(signals) do
    local effect, additions = condition.offer(node, signal, tokens)
    for _, token in ipairs(additions) do
      tokens[token] = position
    end
    local holds = condition.satisfied(node, condition.tally(tokens))
    rows[position] = { effect, holds and "holds" or "waits", unpack(additions) }
  end
  return rows
end

redis.register_function({
  function_name = LIBRARY .. "_conditions",
  callback = function(_, args)
    local answers = {}
    for position, case in ipairs(cjson.decode(args[1])) do
      local node, why = condition.parse(case.text, case.points)
      answers[position] = node and offered(node, case.signals) or why
    end
    return answers
  end,
  flags = { "no-writes" },
})
