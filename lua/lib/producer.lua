-- What every append has in common: who may append, under which number, and what follows from it.
local fence = require("lib.fence")
local frames = require("lib.frames")
local op = require("lib.op")
local record = require("lib.record")
local stream = require("lib.stream")
local wake = require("lib.wake")

local producer = {}

-- Returns the stream that the holder of the lease may append to, or nil and the answer. An append
-- whose number is taken was performed before.
function producer.open(arg, now_ms)
  local x, refusal = fence.glance(arg, now_ms)
  if x == nil then
    return nil, refusal
  end
  local known = x.f.streamed == "1" and stream.load(arg.id, arg.attempt)
    or { last = 0, bytes = 0, created_at = now_ms }
  if arg.seq and arg.seq > known.last + 1 then
    return nil, op.refuse("frame_gap", { last = known.last })
  end
  return { x = x, known = known, replayed = arg.seq and arg.seq <= known.last }
end

-- Appends what `arg` holds in the given mode, and calls those who tail.
function producer.append(opened, arg, mode, encoding, version, now_ms)
  local x, known = opened.x, opened.known
  known.last = known.last + 1
  known.bytes = known.bytes + #arg.payload
  known.last_at = now_ms
  frames.append(arg.id, arg.attempt, {
    number = known.last,
    mode = mode,
    encoding = encoding,
    at = now_ms,
    version = version,
    type = arg.type,
    correlation = arg.correlation or nil,
    payload = arg.payload,
  })
  stream.save(arg.id, arg.attempt, known)
  if x.f.streamed ~= "1" or x.f.tailed ~= nil then
    if x.f.tailed ~= nil then
      wake.tails(arg.id, x.f.tailed, now_ms)
    end
    record.set(x, "streamed", "1")
    record.set(x, "tailed", nil)
    record.save(x)
  end
end

return producer
