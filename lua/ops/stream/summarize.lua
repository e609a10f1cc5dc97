-- Replace the attempt's rolling document if it still is the one that was merged from.
-- The patch is appended as a live frame.
local keys = require("lib.keys")
local op = require("lib.op")
local producer = require("lib.producer")
local summary = require("lib.summary")

return op.define({
  name = "stream.summarize",
  events = {},
  args = {
    "id:id",
    "attempt:index",
    "lease_id:word",
    "epoch:epoch",
    "type:word",
    "correlation:label?",
    "seq:frame_number?",
    "payload:frame",
    "base:summary_version",
    "document:document",
  },
  returns = {
    summarized = { "number:int", "count:int", "version:int", "replayed:flag" },
    conflict = { "version:int", "document:bytes?" },
  },
  run = function(arg, now_ms)
    local opened, answer = producer.open(arg, now_ms)
    if opened == nil then
      return answer
    end
    local known = opened.known
    local stored = summary.load(arg.id, arg.attempt)
    local version = stored and stored.version or 0
    if opened.replayed then
      return op.outcome("summarized", {
        number = arg.seq,
        count = known.last,
        version = version,
        replayed = true,
      })
    end
    if arg.base ~= version then
      return op.outcome("conflict", { version = version, document = stored and stored.document })
    end
    producer.append(opened, arg, "summary", "json", version + 1, now_ms)
    local text = string.format("%.0f %.0f\n", version + 1, now_ms) .. arg.document
    redis.call("SET", keys.summary(arg.id, arg.attempt), text)
    return op.outcome("summarized", {
      number = known.last,
      count = known.last,
      version = version + 1,
      replayed = false,
    })
  end,
})
