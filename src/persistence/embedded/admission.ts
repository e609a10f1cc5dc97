// Whether work under a limit may begin, or waits; the twin of lua/lib/admission.lua.
import { invariant } from '../../errors.ts'
import { counts } from '../../limits.ts'
import type { CallContext } from './call-context.ts'
import {
  bucketOf,
  definitionOf,
  type LimitDefinition,
  limitOfBucket,
  pausedUntil,
  roomAt,
  rowOfBucket,
} from './limit.ts'
import type { Execution } from './record.ts'
import {
  checkHolder,
  enterSlot,
  firstWaiter,
  giveBack,
  holderOf,
  isWaitedFor,
  misfit,
  originOf,
  stopWaiting,
} from './slots.ts'
import { admit, withhold } from './withhold.ts'

const isLeased = ({ f }: Execution) => f.state.startsWith('leased.')

/** Uses the slot that was kept for the execution; false when it is not good any more. */
function usePermit(call: CallContext, { id, f }: Execution, bucket: string | undefined): boolean {
  if (bucket === undefined || f.slot !== bucket || pausedUntil(call, bucket) !== undefined) {
    return false
  }
  const { limits } = call.keyspace
  const holder = holderOf(id, f)
  if (limits.starts.get(bucket)?.score(holder) !== undefined) {
    limits.addStart(bucket, holder, call.nowMs)
  }
  f.permit_until = undefined
  return true
}

/** Whether an execution under a limit can be claimed now, as far as its limit goes. */
export function allows(call: CallContext, x: Execution): boolean {
  const definition = definitionOf(call, x.f.limit ?? '')
  if (definition === undefined || isLeased(x)) return true
  const bucket = bucketOf(x.f, definition)
  if (x.f.slot === bucket) return pausedUntil(call, bucket) === undefined
  return (
    !isWaitedFor(call.keyspace.limits, bucket) && roomAt(call, bucket, definition) === undefined
  )
}

/**
 * Takes a slot for claimable work under a limit. Returns whether it may be claimed; if not, it is
 * withheld.
 */
export function acquire(call: CallContext, x: Execution): boolean {
  const { f } = x
  // Whoever lost a lease kept its slot.
  if (isLeased(x)) return true
  const definition = definitionOf(call, f.limit ?? '')
  const bucket = definition && bucketOf(f, definition)
  if (f.slot !== undefined) {
    if (usePermit(call, x, bucket)) return true
    giveBack(call, x)
  }
  if (definition === undefined || bucket === undefined) return true
  f.ticket = (f.ticket ?? 0) + 1
  const room = roomAt(call, bucket, definition)
  if (room === undefined && !isWaitedFor(call.keyspace.limits, bucket)) {
    enterSlot(call, bucket, holderOf(x.id, f), definition)
    f.slot = bucket
    return true
  }
  f.waits_for = bucket
  withhold(call, x, 'limit')
  call.reconsider(bucket)
  if (typeof room === 'number') call.wake.lane(f.lane, room)
  return false
}

/** Lets the first of those who wait go, with a slot that is kept for it for a while. */
function admitFirst(
  call: CallContext,
  bucket: string,
  definition: LimitDefinition | undefined,
  holder: string,
  share: string | undefined,
): void {
  stopWaiting(call.keyspace.limits, bucket, share, holder)
  if (originOf(holder) !== undefined) {
    enterSlot(call, bucket, holder, definition)
    checkHolder(call, bucket, holder)
    return
  }
  const x = call.keyspace.load(holder.split(':')[0] ?? '')
  invariant(x !== undefined, `${holder} waits for a slot, but does not exist`)
  x.f.waits_for = undefined
  x.f.slot = bucket
  x.f.permit_until = call.nowMs + counts.permitMs
  enterSlot(call, bucket, holder, definition)
  admit(call, x)
}

/** Lets work go that does not have to wait here any more; its claim asks again. */
function letGo(call: CallContext, bucket: string, holder: string, share: string | undefined): void {
  stopWaiting(call.keyspace.limits, bucket, share, holder)
  if (originOf(holder) !== undefined) {
    // It is admitted there, and finds out as well.
    checkHolder(call, bucket, holder)
    return
  }
  const x = call.keyspace.load(holder.split(':')[0] ?? '')
  invariant(x !== undefined, `${holder} waits for a slot, but does not exist`)
  x.f.waits_for = undefined
  admit(call, x)
}

/** Puts the bucket among the timers, or takes it away. */
export function scheduleBucket(
  { keyspace: { limits, timers } }: CallContext,
  bucket: string,
  atMs: number | undefined,
): void {
  const known = limits.openings.get(bucket)
  if (known !== undefined) timers.remove(rowOfBucket(bucket), known)
  limits.openings.delete(bucket)
  if (atMs === undefined) return
  timers.add(rowOfBucket(bucket), atMs)
  limits.openings.set(bucket, atMs)
}

/** All buckets of a limit in which somebody waits may have room, now or a little later. */
export function reconsiderAll(call: CallContext, name: string): void {
  const buckets = [...(call.keyspace.limits.waiting.get(name)?.keys() ?? [])]
  buckets.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const [index, bucket] of buckets.entries()) {
    if (index < counts.admissionsPerCall) call.reconsider(bucket)
    else scheduleBucket(call, bucket, call.nowMs)
  }
}

/** Ends a pause whose time has come. */
function endPause(call: CallContext, bucket: string): void {
  const { pauses } = call.keyspace.limits
  const untilMs = pauses.get(bucket)
  if (untilMs === undefined || Number(untilMs) > call.nowMs) return
  pauses.delete(bucket)
  reconsiderAll(call, bucket)
}

/**
 * When to look again at a bucket in which nobody waits: at the end of a pause, or to forget its
 * starts when all have left the window. Undefined when there is nothing to look for.
 */
function idleUntil(
  call: CallContext,
  bucket: string,
  definition: LimitDefinition | undefined,
): number | undefined {
  const { limits } = call.keyspace
  const starts = limits.starts.get(bucket)
  if (definition === undefined || definition.starts === 0) {
    for (const { member } of starts?.all() ?? []) limits.removeStart(bucket, member)
    return definition && pausedUntil(call, bucket)
  }
  const paused = pausedUntil(call, bucket)
  if (paused !== undefined || starts === undefined) return paused
  for (const { member } of starts.upTo(call.nowMs - definition.windowMs, starts.size)) {
    limits.removeStart(bucket, member)
  }
  const last = starts.lastScore()
  return last === undefined ? undefined : last + definition.windowMs
}

/** Admits as many as the bucket has room for, some at once and the rest by the next calls. */
export function openBucket(call: CallContext, bucket: string): void {
  const { limits } = call.keyspace
  endPause(call, bucket)
  const definition = definitionOf(call, limitOfBucket(bucket))
  for (let count = 0; count < counts.admissionsPerCall; count++) {
    if (!isWaitedFor(limits, bucket)) {
      scheduleBucket(call, bucket, idleUntil(call, bucket, definition))
      return
    }
    const unfit = misfit(limits, bucket, definition)
    const room = unfit === undefined ? roomAt(call, bucket, definition) : undefined
    if (room !== undefined) {
      scheduleBucket(call, bucket, typeof room === 'number' ? room : undefined)
      return
    }
    const { holder, share } = unfit ?? firstWaiter(limits, bucket)
    invariant(holder !== undefined, `${bucket} is waited for by nobody`)
    if (unfit !== undefined) letGo(call, bucket, holder, share)
    else admitFirst(call, bucket, definition, holder, share)
  }
  scheduleBucket(call, bucket, call.nowMs)
}

/** Looks at the buckets that may have room since the last time. */
export function runAdmissions(call: CallContext): void {
  for (let count = 0; count < counts.admissionsPerCall; count++) {
    const news = call.takeNews()
    if (news === undefined) return
    for (const bucket of news) openBucket(call, bucket)
  }
}
