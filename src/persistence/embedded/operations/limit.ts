// Limits: setting, removing and pausing them, and how they stand.
import { counts } from '../../../limits.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { reconsiderAll, scheduleBucket } from '../admission.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { parseLimit, pausedUntil, roomAt, startedIn } from '../limit.ts'

export function setLimit(call: CallContext, args: Arguments<'limit.set'>): Answer<'limit.set'> {
  const { slots, starts, window_ms, per_key, partitions } = args
  const { definitions } = call.keyspace.limits
  const text = `${slots} ${starts} ${window_ms} ${per_key ? 1 : 0} ${partitions}`
  if (definitions.get(args.limit) !== text) {
    definitions.set(args.limit, text)
    reconsiderAll(call, args.limit)
  }
  return { outcome: 'set' }
}

export function removeLimit(
  call: CallContext,
  { limit }: Arguments<'limit.remove'>,
): Answer<'limit.remove'> {
  const { definitions, pauses } = call.keyspace.limits
  if (!definitions.has(limit)) return { outcome: 'absent' }
  definitions.delete(limit)
  pauses.delete(limit)
  reconsiderAll(call, limit)
  return { outcome: 'removed' }
}

function bucketNamed(limit: string, key: string | undefined): string {
  return key === undefined ? limit : `${limit}|${key}`
}

export function pauseLimit(
  call: CallContext,
  { limit, key, until_ms, for_ms }: Arguments<'limit.pause'>,
): Answer<'limit.pause'> {
  const { definitions, pauses } = call.keyspace.limits
  if (!definitions.has(limit)) return refuse('limit_not_found', { limit })
  const untilMs = for_ms === undefined ? until_ms : call.nowMs + for_ms
  if (untilMs === undefined) {
    return refuse('invalid_input', { argument: 'until_ms', why: 'is missing' })
  }
  if (untilMs > call.nowMs + counts.delayAheadMs) {
    return refuse('invalid_input', { argument: 'until_ms', why: 'is over a year ahead' })
  }
  const bucket = bucketNamed(limit, key)
  pauses.set(bucket, String(untilMs))
  scheduleBucket(call, bucket, untilMs)
  call.reconsider(bucket)
  return { outcome: 'paused' }
}

export function listLimits({ keyspace }: CallContext): Answer<'limit.list'> {
  return { outcome: 'listed', limits: Object.fromEntries(keyspace.limits.definitions.entries()) }
}

export function describeLimit(
  call: CallContext,
  { limit, key }: Arguments<'limit.describe'>,
): Answer<'limit.describe'> {
  const { definitions, slots, waiting } = call.keyspace.limits
  const text = definitions.get(limit)
  if (text === undefined) return { outcome: 'absent' }
  const definition = parseLimit(text)
  const bucket = bucketNamed(limit, key)
  const room = roomAt(call, bucket, definition)
  return {
    outcome: 'found',
    definition: text,
    active: slots.get(bucket)?.size ?? 0,
    started: startedIn(call, bucket, definition.windowMs),
    waiting: waiting.get(limit)?.get(bucket) ?? 0,
    paused_until: pausedUntil(call, bucket),
    room_at: typeof room === 'number' ? room : undefined,
    now: call.nowMs,
  }
}
