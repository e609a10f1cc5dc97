-- The short way of plain work: it writes what the long way writes, in far fewer steps.
--
-- Most work is plain: it has no rare fields that its first lease or its completion touches (see
-- `record.unpack_plain`), gets a lease for the first time and completes under it. For whatever is
-- not plain, or would be refused, these functions do nothing, and the caller goes the long way.
local arguments = require("lib.arguments")
local claimed = require("lib.claimed")
local digits = require("lib.digits")
local feed = require("lib.feed")
local inputs = require("lib.inputs")
local keys = require("lib.keys")
local leases = require("lib.leases")
local lifecycle = require("generated.lifecycle")
local limits = require("generated.limits")
local optional = require("lib.optional")
local pending = require("lib.pending")
local record = require("lib.record")
local values = require("lib.values")
local wake = require("lib.wake")

local plain = {}

local ready = "runnable.ready"
local held = lifecycle[ready].on.claim[1].target
local decode_digest = arguments.decoder_of("digest")
local decode_result = optional(arguments.decoder_of("input"))
local completed = lifecycle[held].on.complete[1].target

-- Like `lease.grant` and `lease.hand_out`; false when nothing was done.
function plain.grant(rows, id, lease_id, arg, now_ms, now_us)
  local key = keys.execution(id)
  -- stylua: ignore
  local parses, state, lane, task, created_at, _, _, _, attempt, epoch, _, _, flags, rare
    = pcall(record.unpack_plain, values.read(key))
  if not parses or state ~= ready or attempt ~= "" or epoch ~= "" then
    return false
  end
  local lease_ms, worker = arg.lease_ms, arg.worker
  local expires_at = now_ms + lease_ms
  attempt, epoch = "0", digits.of(now_us)
  -- stylua: ignore
  values.write(key, record.pack_plain(
    held, lane, task, created_at, now_ms, now_ms, expires_at, lease_ms, 0,
    attempt, epoch, lease_id, worker, "", flags, rare))
  pending.remove_row(keys.routed_index("ready", lane), id)
  pending.add_row(keys.index("leased"), id, expires_at)
  leases.enter(arg.lease_id, lease_id, id)
  wake.lane(lane, expires_at)
  feed.move(id, "claim", held, attempt, epoch, worker, "")
  local input = inputs.with_claim(id, flags % 2 == 1, arg.count)
  -- stylua: ignore
  claimed.add(
    rows, id, "fresh", lane, task, attempt, "initial", lease_id, epoch, lease_ms, expires_at,
    nil, created_at, input)
  return true
end

-- Completes the execution under its live lease; false when nothing was done. Takes the arguments as
-- they arrive: those that equal what is stored are as they should be.
function plain.complete(now_ms, id, given_attempt, given_lease_id, given_epoch, digest, result)
  local key = keys.execution(id)
  -- stylua: ignore
  local parses, state, lane, task, created_at, started_at, expires_at, lease_ms,
    attempt, epoch, lease_id, worker, flags, rare, retention_ms
    = pcall(record.unpack_plain, values.read(key))
  if
    not parses
    or state ~= held
    or lease_id ~= given_lease_id
    or epoch ~= given_epoch
    or attempt ~= given_attempt
    or expires_at <= now_ms
    or not decode_digest(digest)
  then
    return false
  end
  local payload = decode_result(result)
  if payload == nil then
    return false
  end
  -- stylua: ignore
  values.write(key, record.pack_plain(
    completed, lane, task, created_at, now_ms, started_at, expires_at, lease_ms, now_ms,
    attempt, epoch, lease_id, worker, "complete " .. digest, flags, rare))
  if payload then
    values.write(keys.ending(id), payload)
  end
  pending.remove_row(keys.index("leased"), id)
  local kept_ms = retention_ms or limits.retention_default_ms
  pending.add_row(keys.index("terminal"), id, now_ms + kept_ms)
  leases.leave(lease_id)
  feed.move(id, "complete", completed, attempt, epoch, worker, "")
  return true
end

return plain
