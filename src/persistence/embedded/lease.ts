// Giving a lease and taking it back; the twin of lua/lib/lease.lua.
import { invariant } from '../../errors.ts'
import { counts } from '../../limits.ts'
import type { ClaimedRow } from '../generated/operations.ts'
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'
import type { Keyspace } from './keyspace.ts'
import type { Execution, StoredExecution } from './record.ts'
import { closeStream } from './stream.ts'
import { applyEvent, commit } from './transition.ts'

/** Remembers how an attempt ended that is not the execution's last word. */
export function logAttempt(keyspace: Keyspace, x: Execution, how: string, atMs: number): void {
  const { attempt, attempt_type: type = 'initial', epoch, worker, started_at: startedAt } = x.f
  const entry = `${attempt} ${type} ${epoch} ${worker} ${startedAt} ${atMs} ${how}`
  const entries = [...(x.stored.attempts ?? []), entry]
  keyspace.storeAttempts(x.stored, entries.slice(-counts.attemptLogMax))
}

/**
 * Remembers how the execution had ended with its last attempt, unless that attempt was remembered
 * before: it may have failed and waited for a retry when the execution was cancelled.
 */
export function logLastAttempt(keyspace: Keyspace, x: Execution, how: string): void {
  const last = x.stored.attempts?.at(-1)
  if (last?.startsWith(`${x.f.attempt} `)) return
  logAttempt(keyspace, x, how, x.f.ended_at ?? 0)
}

function attemptType(f: Readonly<ExecutionFields>, lost: string | undefined): string | undefined {
  if (lost !== undefined) return 'reclaim'
  if (f.replaying !== undefined) return 'replay'
  return f.attempt === undefined ? undefined : 'retry'
}

/** Returns how long the new attempt may take, if that is limited. */
function beginAttempt(call: CallContext, x: Execution, lost?: string): number | undefined {
  const { f } = x
  if (lost !== undefined) {
    logAttempt(call.keyspace, x, lost, call.nowMs)
    closeStream(call, x, 'reclaimed')
    f.reclaims = (f.reclaims ?? 0) + 1
  }
  f.attempt_type = attemptType(f, lost)
  f.attempt = (f.attempt ?? -1) + 1
  f.started_at = call.nowMs
  f.replaying = undefined
  if (f.progress !== undefined || f.noted !== undefined) {
    f.progress = undefined
    f.noted = undefined
    call.keyspace.storeNote(x.stored, undefined)
  }
  return f.attempt_timeout_ms
}

function continueAttempt({ f }: Execution): number | undefined {
  const leftMs = f.attempt_left_ms
  f.parked = undefined
  f.attempt_left_ms = undefined
  return leftMs
}

function lostBy(state: string): string | undefined {
  if (state === 'leased.expired') return 'expired'
  return state === 'leased.revoked' ? 'revoked' : undefined
}

/** Who asks for a lease, and for how long. */
interface LeaseRequest {
  readonly worker: string
  readonly lease_ms: number
}

/**
 * Puts the execution under a new lease and commits it. A new attempt begins unless an interrupted
 * one continues.
 */
export function grantLease(
  call: CallContext,
  x: Execution,
  leaseId: string,
  request: LeaseRequest,
): void {
  const { f } = x
  const lost = lostBy(f.state)
  const continues = f.parked !== undefined
  applyEvent(x, 'claim')
  const leftMs = continues ? continueAttempt(x) : beginAttempt(call, x, lost)
  // Microseconds keep the epoch growing even when the newest writes were lost.
  f.epoch = Math.max((f.epoch ?? 0) + 1, call.nowUs)
  f.lease_id = leaseId
  f.lease_kind = continues || lost !== undefined ? 'resumed' : undefined
  f.lease_ms = request.lease_ms
  f.expires_at = call.nowMs + request.lease_ms
  f.worker = request.worker
  f.attempt_deadline_at = leftMs === undefined ? undefined : call.nowMs + leftMs
  f.settled = undefined
  f.grant_id = undefined
  f.grant_worker = undefined
  f.grant_until = undefined
  call.keyspace.leases.set(leaseId, x.id)
  commit(call, x)
}

/** The execution as its new holder gets it. */
export function claimedRow({ id, fields, input }: StoredExecution): ClaimedRow {
  const { attempt, epoch, lease_id, lease_ms, expires_at } = fields
  invariant(
    attempt !== undefined &&
      epoch !== undefined &&
      lease_id !== undefined &&
      lease_ms !== undefined &&
      expires_at !== undefined,
    `${id} is not under a lease`,
  )
  return {
    id,
    kind: fields.lease_kind ?? 'fresh',
    lane: fields.lane,
    task: fields.task,
    attempt,
    attempt_type: fields.attempt_type ?? 'initial',
    lease_id,
    epoch,
    lease_ms,
    expires_at,
    attempt_deadline_at: fields.attempt_deadline_at,
    created_at: fields.created_at,
    // A copy: what a worker does to its input must not reach the next attempt.
    input: Buffer.from(input),
  }
}
