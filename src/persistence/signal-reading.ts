// Reads stored waitpoints and signals back as typed values.
import { type ExecutionId, formatExecutionId } from '../ids.ts'
import { noDeadlineScore } from '../limits.ts'
import { leafOf } from '../machines/table.ts'
import type {
  Signal,
  SignalEffect,
  SuspendedExecution,
  WaitpointSummary,
} from './backend-suspension.ts'
import type { Answer } from './contract.ts'
import { corrupt, fieldReader } from './corruption.ts'
import type { SignalRow, SuspendedRow } from './generated/operations.ts'
import { readWaitpoint, type Waitpoint, waitpointWords } from './waitpoint-record.ts'

type Listed = Extract<Answer<'waitpoint.list'>, { outcome: 'listed' }>

const effects: readonly SignalEffect[] = [
  'resume_condition_satisfied',
  'appended_to_waitpoint',
  'appended_to_waitpoint_duplicate',
  'buffered_for_pending_waitpoint',
  'signal_ignored_not_in_condition',
  'signal_ignored_matcher_failed',
  'no_op_waitpoint_never_activated',
]

/** The signal, or `corruption`. */
export function readSignal(id: ExecutionId, row: SignalRow): Signal {
  const refuse = (why: string): never => corrupt(id, 'signals', String(row.position), why)
  const signalId = row.id ?? refuse('does not parse')
  return {
    position: row.position,
    signalId,
    waitpointId: row.waitpoint,
    name: row.name,
    category: row.category,
    source: row.source,
    identity: row.identity,
    correlationId: row.correlation,
    idempotencyKey: row.key === '' ? undefined : row.key,
    encoding: row.encoding,
    acceptedAtMs: row.accepted_at,
    createdAtMs: row.created_at,
    effect: effects.find((known) => known === row.effect) ?? refuse('its effect is unknown'),
    payload: row.payload,
  }
}

export function readSuspended(partition: number, row: SuspendedRow): SuspendedExecution {
  const executionId = formatExecutionId(partition, row.id)
  const read = fieldReader(executionId, 'wait', { reason: row.reason, at: row.suspended_at })
  return {
    executionId,
    reason: read.text('reason'),
    suspendedAtMs: read.number('at'),
    timeoutAtMs: row.score === noDeadlineScore ? undefined : row.score,
  }
}

/** A waitpoint of an execution, or `corruption`. */
export function readStoredWaitpoint(id: ExecutionId, waitpointId: string, text: string) {
  const refuse = (why: string): never => corrupt(id, 'points', waitpointId, why)
  if (text.split(' ').length !== waitpointWords) refuse('does not parse')
  const point = readWaitpoint(waitpointId, text)
  const { attempt, run, created_at, count, expires_at = 0, closed_at = 0, last_at = 0 } = point
  const numbers = { attempt, run, created_at, count, expires_at, closed_at, last_at }
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isSafeInteger(value) || value < 0) refuse(`${name}: no whole number`)
  }
  const positions = [...point.buffered, ...point.matched]
  if (!positions.every(Number.isSafeInteger)) refuse('a position is no whole number')
  if (!['pending', 'active', 'closed'].includes(point.state)) refuse('state: unknown')
  if (!['attempt', 'run'].includes(point.scope)) refuse('scope: unknown')
  return point
}

/** Whether a pending waitpoint can still be used: the same rule as lib/waitpoints.lua. */
function isOpen(point: Waitpoint, listed: Listed): boolean {
  if (leafOf(listed.state)?.index === 'terminal') return false
  if (point.expires_at !== undefined && point.expires_at <= listed.now) return false
  if (point.run !== Number(listed.run)) return false
  if (point.scope === 'run') return true
  const isRunning = listed.state === 'leased.held' || listed.interrupted
  return isRunning && point.attempt === Number(listed.attempt)
}

function stateOf(point: Waitpoint, listed: Listed): WaitpointSummary['state'] {
  if (point.state === 'pending' && !isOpen(point, listed)) return 'expired'
  return point.state as WaitpointSummary['state']
}

/** A waitpoint that is still to be read: reading one that is damaged throws `corruption`. */
interface UnreadWaitpoint {
  readonly id: string
  read(): WaitpointSummary
}

/**
 * Every waitpoint, by id, with the signals that counted at it if there are any rows; `fingerprint`
 * says how to speak of its token.
 */
export function unreadWaitpoints(
  executionId: ExecutionId,
  listed: Listed,
  rows: readonly SignalRow[] | undefined,
  fingerprint: (point: Waitpoint) => string | undefined,
): UnreadWaitpoint[] {
  const byPosition = new Map(rows?.map((row) => [row.position, row]))
  const signalAt = (position: number): Signal => {
    const row = byPosition.get(position)
    if (row === undefined) return corrupt(executionId, 'signals', String(position), 'missing')
    return readSignal(executionId, row)
  }
  const read = (id: string, text: string): WaitpointSummary => {
    const point = readStoredWaitpoint(executionId, id, text)
    return {
      waitpointId: id,
      key: point.key,
      state: stateOf(point, listed),
      scope: point.scope as WaitpointSummary['scope'],
      attempt: point.attempt,
      isCurrent: point.run === Number(listed.run),
      suspensionId: point.suspension,
      createdAtMs: point.created_at,
      expiresAtMs: point.expires_at,
      closedAtMs: point.closed_at,
      closeReason: point.reason,
      signalCount: point.count,
      lastSignalAtMs: point.last_at,
      keyId: point.kid,
      tokenFingerprint: fingerprint(point),
      signals: rows === undefined ? [] : point.matched.map(signalAt),
    }
  }
  return Object.entries(listed.points)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, text]) => ({ id, read: () => read(id, text) }))
}

/** What a signal did in the end: kept for a waitpoint that was never used, it did nothing. */
export function finalEffect(signal: Signal, points: readonly WaitpointSummary[]): Signal {
  if (signal.effect !== 'buffered_for_pending_waitpoint') return signal
  const point = points.find(({ waitpointId }) => waitpointId === signal.waitpointId)
  if (point?.state !== 'expired' && point?.state !== 'closed') return signal
  return { ...signal, effect: 'no_op_waitpoint_never_activated' }
}
