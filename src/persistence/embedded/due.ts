// Everything that happens because its time has come; the twin of lua/lib/due.lua.
import { counts } from '../../limits.ts'
import { openBucket } from './admission.ts'
import type { CallContext } from './call-context.ts'
import { cancelMember } from './cascade.ts'
import { goOnAdmitting } from './exhaustion.ts'
import { finish } from './finish.ts'
import { flowOf, isDoomed } from './flow.ts'
import { gateFacts } from './gates.ts'
import type { Keyspace } from './keyspace.ts'
import { logAttempt } from './lease.ts'
import type { Execution } from './record.ts'
import { lapse } from './resume.ts'
import { retryAtMs } from './retry.ts'
import { giveBack } from './slots.ts'
import type { SortedSet } from './sorted-set.ts'
import { closeStream } from './stream.ts'
import { accepts, applyEvent, commit, noFacts } from './transition.ts'
import { workIn } from './work.ts'

const retryLeft = new Set(['retryLeft'] as const)
const reclaimsExhausted = new Set(['reclaimsExhausted'] as const)

/** Half of the jitter: nobody is there to draw a number. */
const halfPpm = 500_000

function timeOut(call: CallContext, x: Execution): void {
  const { f } = x
  const retryAt = retryAtMs(call, x, 'timeout', halfPpm)
  applyEvent(x, 'timeOut', retryAt === undefined ? noFacts : retryLeft)
  if (retryAt === undefined) {
    finish(call, x, 'attempt_timeout', undefined)
    return
  }
  logAttempt(call.keyspace, x, 'timeout', call.nowMs)
  closeStream(call, x, 'attempt_timeout')
  f.retries = (f.retries ?? 0) + 1
  f.not_before = retryAt
  call.keyspace.storeEnding(x.stored, undefined)
  commit(call, x)
}

function isDue(atMs: number | undefined, nowMs: number): boolean {
  return atMs !== undefined && atMs <= nowMs
}

/** Takes a lease away after it ran out or was revoked. */
export function loseLease(
  call: CallContext,
  x: Execution,
  event: 'loseLease' | 'revokeLease',
): void {
  const exhausted = (x.f.reclaims ?? 0) >= (x.f.reclaims_max ?? counts.reclaimsDefault)
  applyEvent(x, event, exhausted ? reclaimsExhausted : noFacts)
  if (exhausted) {
    finish(call, x, 'max_reclaims_exceeded', undefined)
  } else {
    commit(call, x)
  }
}

/**
 * Applies to one execution whatever is due: the end of its flow, then deadline, attempt timeout,
 * lease expiry, the end of a suspension's time, lapsed grants and delays. Returns whether anything
 * changed and was committed.
 */
export function applyDue(call: CallContext, x: Execution): boolean {
  const { f } = x
  const { nowMs } = call
  if (f.ended_at !== undefined) return false
  if (f.flow !== undefined && isDoomed(flowOf(call, x), x)) {
    cancelMember(call, x)
    return true
  }
  if (isDue(f.deadline_at, nowMs)) {
    applyEvent(x, 'expire')
    finish(call, x, 'deadline', undefined)
    return true
  }
  if (f.state === 'leased.held') {
    if (isDue(f.attempt_deadline_at, nowMs)) timeOut(call, x)
    else if (isDue(f.expires_at, nowMs)) loseLease(call, x, 'loseLease')
    else return false
    return true
  }
  if (f.state === 'suspended') {
    if (!isDue(f.wait_until, nowMs)) return false
    lapse(call, x)
    return true
  }
  let changed = false
  if (isDue(f.grant_until, nowMs)) {
    f.grant_id = undefined
    f.grant_worker = undefined
    f.grant_until = undefined
    changed = true
  }
  if (isDue(f.permit_until, nowMs)) {
    giveBack(call, x)
    changed = true
  }
  if (isDue(f.not_before, nowMs) && accepts(x, 'promote')) {
    gateFacts(call, x)
    applyEvent(x, 'promote')
    changed = true
  }
  if (changed) commit(call, x)
  return changed
}

/** Loads an execution after everything that is due has happened to it. */
export function loadDue(call: CallContext, id: string): Execution | undefined {
  const x = call.keyspace.load(id)
  return x !== undefined && applyDue(call, x) ? call.keyspace.load(id) : x
}

function promoteFrom(call: CallContext, index: SortedSet, count: number): number {
  const rows = index.upTo(call.nowMs, count)
  for (const { member, score } of rows) {
    if (member.startsWith('|')) {
      openBucket(call, member.slice(1))
      continue
    }
    const x = call.keyspace.load(member)
    if (x === undefined) index.remove(member, score)
    else applyDue(call, x)
  }
  return rows.length
}

function timed({ indexes, timers }: Keyspace): readonly SortedSet[] {
  return [indexes.leased, indexes.delayed, timers]
}

/** Applies what is due, at most to `count` executions. Returns how many there were. */
export function promote(call: CallContext, count: number): number {
  call.backlog.drain(workIn(call), counts.workPerCall)
  let done = 0
  for (const index of timed(call.keyspace)) {
    if (done < count) done += promoteFrom(call, index, count - done)
  }
  goOnAdmitting(call, count)
  return done
}

/** The next time at which something becomes due. */
export function nextDueMs({ keyspace, backlog, nowMs }: CallContext): number | undefined {
  if (backlog.isKept || keyspace.admitting.size > 0) return nowMs
  let nextMs: number | undefined
  for (const index of timed(keyspace)) {
    const atMs = index.firstScore()
    if (atMs !== undefined && (nextMs === undefined || atMs < nextMs)) nextMs = atMs
  }
  return nextMs
}
