// Handles: how the proof of a lease is written and read.
import { EngineError } from '../errors.ts'
import { type ExecutionId, formatExecutionId, parseExecutionId } from '../ids.ts'
import type { ClaimedExecution, Handle } from './backend.ts'
import type { ClaimedRow } from './generated/operations.ts'

/** What a handle proves, read back. */
export interface Fence {
  readonly partition: number
  readonly id: string
  readonly attempt: number
  readonly lease_id: string
  readonly epoch: number
}

const version = '1'

function formatHandle(backend: Handle['backend'], partition: number, row: ClaimedRow): Handle {
  const opaque = [
    version,
    formatExecutionId(partition, row.id),
    row.attempt,
    row.lease_id,
    row.epoch,
  ].join('|')
  return { backend, kind: row.kind as Handle['kind'], opaque }
}

/** The handle of a suspended execution: it proves no lease, so it carries none. */
export function suspendedHandle(
  backend: Handle['backend'],
  executionId: ExecutionId,
  attempt: number,
  suspensionId: string,
): Handle {
  const opaque = [version, executionId, attempt, suspensionId].join('|')
  return { backend, kind: 'suspended', opaque }
}

/** The execution and attempt of any handle, whether or not it proves a lease. */
export function parseHolder(
  backend: Handle['backend'],
  handle: Handle,
): Pick<Fence, 'partition' | 'id' | 'attempt'> {
  if (handle?.kind !== 'suspended') return parseHandle(backend, handle)
  if (handle.backend !== backend) throw otherBackend(backend, handle)
  const [stamp, executionId, attempt, suspensionId] = String(handle.opaque).split('|')
  if (stamp !== version || !suspensionId) {
    throw new EngineError('invalid_handle', 'this is not a handle')
  }
  const { partition, local } = executionParts(executionId)
  return { partition, id: local, attempt: digits(attempt) }
}

function otherBackend(backend: Handle['backend'], handle: Handle): EngineError {
  return new EngineError('handle_from_other_backend', `it is from ${handle.backend}`, {
    details: { expected: backend, given: handle.backend },
  })
}

/** Reads the fence, or throws `invalid_handle` or `handle_from_other_backend`. */
export function parseHandle(backend: Handle['backend'], handle: Handle): Fence {
  if (handle?.kind === 'suspended') {
    throw new EngineError('stale_lease', 'a suspended execution has no lease')
  }
  const parts = typeof handle?.opaque === 'string' ? handle.opaque.split('|') : []
  const [stamp, executionId, attempt, leaseId, epoch] = parts
  if (stamp !== version || parts.length !== 5 || !leaseId) {
    throw new EngineError('invalid_handle', 'this is not a handle')
  }
  if (handle.backend !== backend) throw otherBackend(backend, handle)
  const { partition, local } = executionParts(executionId)
  const fence = {
    partition,
    id: local,
    attempt: digits(attempt),
    lease_id: leaseId,
    epoch: digits(epoch),
  }
  return fence
}

function executionParts(executionId: string | undefined) {
  try {
    return parseExecutionId(executionId)
  } catch (cause) {
    throw new EngineError('invalid_handle', 'this handle names no execution', { cause })
  }
}

function digits(text: string | undefined): number {
  const value = /^(?:0|[1-9]\d{0,15})$/.test(text ?? '') ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) {
    throw new EngineError('invalid_handle', 'this handle was changed')
  }
  return value
}

export function claimedExecution(
  backend: Handle['backend'],
  partition: number,
  row: ClaimedRow,
): ClaimedExecution {
  return {
    handle: formatHandle(backend, partition, row),
    executionId: formatExecutionId(partition, row.id),
    leaseId: row.lease_id,
    lane: row.lane,
    task: row.task,
    input: row.input ?? new Uint8Array(0),
    attempt: row.attempt,
    attemptType: row.attempt_type as ClaimedExecution['attemptType'],
    epoch: row.epoch,
    leaseMs: row.lease_ms,
    expiresAtMs: row.expires_at,
    attemptDeadlineAtMs: row.attempt_deadline_at,
    createdAtMs: row.created_at,
  }
}
