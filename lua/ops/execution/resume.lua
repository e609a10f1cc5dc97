-- Resume a suspended execution by an operator's word, whatever its condition.
local due = require("lib.due")
local op = require("lib.op")
local record = require("lib.record")
local resume = require("lib.resume")
local suspension = require("lib.suspension")

return op.define({
  name = "execution.resume",
  events = { "resume" },
  args = { "id:id", "resume_id:digest", "delay_ms:span_ms?" },
  returns = { resumed = { "state:text", "replayed:flag" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    due.apply(x, now_ms)
    local s = suspension.load(x)
    if s ~= nil and s.f.resumed_by == arg.resume_id then
      -- The same request again, after its answer was lost.
      return op.outcome("resumed", { state = x.f.state, replayed = true })
    elseif x.f.state ~= "suspended" then
      return op.refuse("execution_not_suspended", { state = x.f.state })
    end
    suspension.update(x, s, { resumed_by = arg.resume_id })
    resume.by_operator(x, s, arg.delay_ms or nil, now_ms)
    return op.outcome("resumed", { state = x.f.state, replayed = false })
  end,
})
