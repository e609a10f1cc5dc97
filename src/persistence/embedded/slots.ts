// The slots of limits, in step with the lifecycle; the twin of lua/lib/slots.lua.
import type { IndexName } from '../../machines/execution.ts'
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'
import type { Keyspace } from './keyspace.ts'
import { type LimitDefinition, limitOfBucket } from './limit.ts'
import type { LimitTable } from './limit-table.ts'
import type { Execution } from './record.ts'
import { queueOf } from './turns.ts'

/** Names one request for a slot: what is late about an earlier one cannot hit a later one. */
export function holderOf(id: string, { ticket }: Readonly<ExecutionFields>): string {
  return `${id}:${ticket}`
}

/** A holder of another partition has its number in front; undefined for one of this partition. */
export function originOf(holder: string): { partition: number; request: string } | undefined {
  const [, partition, request] = /^(\d+):([^:]+:\d+)$/.exec(holder) ?? []
  if (partition === undefined || request === undefined) return undefined
  return { partition: Number(partition), request }
}

/** What another partition is told about one of its holders; see lua/lib/owed.lua. */
export function checkRow(partition: number, bucket: string, request: string): string {
  return `check ${partition} ${bucket} - ${request}`
}

/** Tells a holder of another partition that it has a slot, now or when it is time to check. */
export function checkHolder(call: CallContext, bucket: string, holder: string, atMs = 0): void {
  const origin = originOf(holder)
  if (origin === undefined) return
  call.keyspace.limits.owed.add(checkRow(origin.partition, bucket, origin.request), atMs)
  if (atMs === 0) call.wake.owed()
}

/** Takes a slot for a holder, and counts its start. */
export function enterSlot(
  call: CallContext,
  bucket: string,
  holder: string,
  definition: LimitDefinition | undefined,
): void {
  const { limits } = call.keyspace
  limits.addSlot(bucket, holder)
  if (definition === undefined || definition.starts === 0) return
  const old = limits.starts.get(bucket)
  for (const { member } of old?.upTo(call.nowMs - definition.windowMs, old.size) ?? []) {
    limits.removeStart(bucket, member)
  }
  limits.addStart(bucket, holder, call.nowMs)
}

/** Frees a holder's slot; what never began did not start. */
export function freeSlot(
  call: CallContext,
  bucket: string,
  holder: string,
  neverBegan: boolean,
): void {
  const { limits } = call.keyspace
  limits.removeSlot(bucket, holder)
  if (neverBegan) limits.removeStart(bucket, holder)
  call.reconsider(bucket)
}

/** Gives back the slot of an execution that does not need it any more. */
export function giveBack(call: CallContext, { id, f }: Execution): void {
  if (f.slot === undefined) return
  freeSlot(call, f.slot, holderOf(id, f), f.permit_until !== undefined)
  f.slot = undefined
  f.permit_until = undefined
}

/** In a bucket that several keys share they take turns. */
function isShared(bucket: string): boolean {
  return limitOfBucket(bucket) === bucket
}

/** Lets a holder wait, or rescores it. */
export function wait(
  limits: LimitTable,
  bucket: string,
  share: string | undefined,
  holder: string,
  score: number,
): void {
  const isNew =
    share !== undefined && isShared(bucket)
      ? limits.turns.add(bucket, share, holder, score).isNew
      : limits.waitersOf(bucket).add(holder, score)
  if (isNew) limits.countWaiting(limitOfBucket(bucket), bucket, 1)
}

export function stopWaiting(
  limits: LimitTable,
  bucket: string,
  share: string | undefined,
  holder: string,
): void {
  const wasThere =
    share !== undefined && isShared(bucket)
      ? limits.turns.remove(bucket, share, holder, 0).wasThere
      : limits.waitersOf(bucket).remove(holder, 0)
  if (wasThere) limits.countWaiting(limitOfBucket(bucket), bucket, -1)
}

export function isWaitedFor({ waiting }: LimitTable, bucket: string): boolean {
  return waiting.get(limitOfBucket(bucket))?.has(bucket) ?? false
}

interface Waiter {
  readonly holder: string | undefined
  readonly share: string | undefined
}

/** Whose turn it is: the holder and its key. */
export function firstWaiter(limits: LimitTable, bucket: string): Waiter {
  const row = limits.turns.candidates(bucket, 1)[0]
  if (row === undefined) {
    return { holder: limits.waiters.get(bucket)?.head(1)[0]?.member, share: undefined }
  }
  limits.turns.took(bucket, row.share)
  return { holder: row.member, share: row.share === '' ? undefined : row.share }
}

/** A holder that waits where it would not wait any more, since the limit was changed. */
export function misfit(
  limits: LimitTable,
  bucket: string,
  definition: LimitDefinition | undefined,
): Waiter | undefined {
  const isWhole = isShared(bucket)
  if (definition === undefined || (!definition.perKey && !isWhole)) {
    return firstWaiter(limits, bucket)
  }
  if (!definition.perKey || !isWhole) return undefined
  const ring = limits.turns.rings.get(bucket)?.head(2) ?? []
  const share = ring.find(({ member }) => member !== '')?.member
  if (share === undefined) return undefined
  return { holder: limits.waiters.get(queueOf(bucket, share))?.head(1)[0]?.member, share }
}

/** Whether work keeps its slot where it goes: under its lease, and while a slot is kept for it. */
function keeps(f: Readonly<ExecutionFields>, index: IndexName | 'none'): boolean {
  if (index === 'ready' || index === 'resumed') return f.permit_until !== undefined
  return index === 'leased' || index === 'reclaimable'
}

/**
 * Called for every commit of work under a limit, before its fields are stored: `index` is where it
 * goes, `score` its place among what is claimable.
 */
export function followLifecycle(
  call: CallContext,
  x: Execution,
  index: IndexName | 'none',
  score: number,
): void {
  const { id, f } = x
  const { limits } = call.keyspace
  if (f.slot !== undefined && !keeps(f, index)) giveBack(call, x)
  if (f.waits_for === undefined) return
  if (index === 'blocked') {
    wait(limits, f.waits_for, f.share, holderOf(id, f), score)
  } else {
    stopWaiting(limits, f.waits_for, f.share, holderOf(id, f))
    f.waits_for = undefined
  }
}

/** Enters what a stored record says about its limit. */
export function enterLimit(
  { limits }: Keyspace,
  id: string,
  f: Readonly<ExecutionFields>,
  score: number,
): void {
  if (f.slot !== undefined) limits.addSlot(f.slot, holderOf(id, f))
  if (f.waits_for !== undefined) wait(limits, f.waits_for, f.share, holderOf(id, f), score)
}
