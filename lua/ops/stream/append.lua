-- Append a frame to the stream of the attempt; one whose number is taken was appended before.
local op = require("lib.op")
local producer = require("lib.producer")

return op.define({
  name = "stream.append",
  events = {},
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "type:word",
    "mode:frame_mode",
    "encoding:frame_encoding",
    "correlation:label?",
    "seq:frame_number?",
    "payload:frame",
  },
  returns = { appended = { "number:int", "count:int", "replayed:flag" } },
  run = function(arg, now_ms)
    local opened, answer = producer.open(arg, now_ms)
    if opened == nil then
      return answer
    end
    local known = opened.known
    if opened.replayed then
      return op.outcome("appended", { number = arg.seq, count = known.last, replayed = true })
    end
    producer.append(opened, arg, arg.mode, arg.encoding, nil, now_ms)
    return op.outcome("appended", { number = known.last, count = known.last, replayed = false })
  end,
})
