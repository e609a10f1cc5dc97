// Limits as they are defined, and whether a bucket has room; the twin of lua/lib/limit.lua.
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'

export interface LimitDefinition {
  /** How much may run at once; 0 is no bound. */
  readonly slots: number
  /** How much may begin within a window; 0 is no bound. */
  readonly starts: number
  readonly windowMs: number
  readonly perKey: boolean
}

export function parseLimit(text: string): LimitDefinition {
  const [slots = 0, starts = 0, windowMs = 0, perKey] = text.split(' ').map(Number)
  return { slots, starts, windowMs, perKey: perKey === 1 }
}

/** What holds for the limit; undefined when nobody set it: then it limits nothing. */
export function definitionOf({ keyspace }: CallContext, name: string): LimitDefinition | undefined {
  const text = keyspace.limits.definitions.get(name)
  return text === undefined ? undefined : parseLimit(text)
}

/** Where the execution's work is counted: with all others, or with those of its key. */
export function bucketOf(
  { limit, share }: Readonly<ExecutionFields>,
  definition: LimitDefinition,
): string {
  return definition.perKey && share !== undefined ? `${limit}|${share}` : `${limit}`
}

export function limitOfBucket(bucket: string): string {
  return bucket.split('|', 1)[0] ?? bucket
}

/** Buckets stand among the timers behind a bar, which begins no execution id. */
export const rowOfBucket = (bucket: string): string => `|${bucket}`

/** Until when nothing of the bucket may begin. */
export function pausedUntil(call: CallContext, bucket: string): number | undefined {
  const { pauses } = call.keyspace.limits
  const own = Number(pauses.get(bucket) ?? 0)
  const untilMs = Math.max(own, Number(pauses.get(limitOfBucket(bucket)) ?? 0))
  return untilMs > call.nowMs ? untilMs : undefined
}

/** How many began within the window that ends now. */
export function startedIn(call: CallContext, bucket: string, windowMs: number): number {
  const starts = call.keyspace.limits.starts.get(bucket)
  if (starts === undefined) return 0
  return starts.size - starts.upTo(call.nowMs - windowMs, starts.size).length
}

/**
 * When the bucket has room: undefined for now, a time, or `when freed` when a slot must be given
 * back first.
 */
export function roomAt(
  call: CallContext,
  bucket: string,
  definition: LimitDefinition | undefined,
): number | 'when freed' | undefined {
  if (definition === undefined) return undefined
  const paused = pausedUntil(call, bucket)
  if (paused !== undefined) return paused
  const { limits } = call.keyspace
  const { slots, starts, windowMs } = definition
  if (slots > 0 && (limits.slots.get(bucket)?.size ?? 0) >= slots) return 'when freed'
  if (starts === 0 || startedIn(call, bucket, windowMs) < starts) return undefined
  const begun = limits.starts.get(bucket)
  // The window has room again when the earliest of its last ones leaves it.
  const row = begun?.head(begun.size - starts + 1).at(-1)
  return (row?.score ?? 0) + windowMs
}
