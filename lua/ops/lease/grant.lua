-- Reserve one execution for one worker for a moment, so that it can claim just that.
local due = require("lib.due")
local flow = require("lib.flow")
local lanes = require("lib.lanes")
local op = require("lib.op")
local record = require("lib.record")
local transition = require("lib.transition")

local missing_of = function(x, offered)
  local missing = {}
  for capability in (x.f.capabilities or ""):gmatch("[^,]+") do
    if not ("," .. offered .. ","):find("," .. capability .. ",", 1, true) then
      missing[#missing + 1] = capability
    end
  end
  return table.concat(missing, ",")
end

-- Which states each kind of grant is for, and what any other state is told.
local wanted = {
  runnable = { code = "execution_not_eligible", prefix = "^runnable%.re" },
  leased = { code = "execution_not_reclaimable", prefix = "^leased%.[er]" },
}

return op.define({
  name = "lease.grant",
  events = {},
  args = {
    "id:id",
    "of:grant_of",
    "grant_id:word",
    "worker:word",
    "grant_ms:grant_ms",
    "capabilities:capabilities",
  },
  returns = { granted = { "grant_id:text", "expires_at:int", "lane:text", "replayed:flag" } },
  run = function(arg, now_ms)
    local x = record.load(arg.id)
    if x == nil then
      return op.refuse("execution_not_found", {})
    end
    due.apply(x, now_ms)
    local kind = wanted[arg.of]
    local paused = lanes.state(x.f.lane) == "paused"
    if paused or not x.f.state:find(kind.prefix) then
      return op.refuse(kind.code, { state = x.f.state, lane_paused = paused })
    end
    if x.f.flow ~= nil and flow.is_over(x) then
      return op.refuse("flow_ended", { flow = x.f.flow })
    end
    local replayed = x.f.grant_id ~= nil and x.f.grant_worker == arg.worker
    if x.f.grant_id ~= nil and not replayed then
      return op.refuse("grant_already_exists", { expires_at = x.f.grant_until })
    end
    local missing = missing_of(x, arg.capabilities)
    if missing ~= "" then
      return op.refuse("capability_mismatch", { missing = missing })
    end
    if not replayed then
      record.set(x, "grant_id", arg.grant_id)
      record.set(x, "grant_worker", arg.worker)
      record.set(x, "grant_until", now_ms + arg.grant_ms)
      transition.commit(x, now_ms)
    end
    return op.outcome("granted", {
      grant_id = x.f.grant_id,
      expires_at = x.f.grant_until,
      lane = x.f.lane,
      replayed = replayed,
    })
  end,
})
