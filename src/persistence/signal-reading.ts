// Reads stored waitpoints and signals back as typed values.
import { leafOf } from '../machines/table.ts'
import type { Signal, SignalEffect, WaitpointSummary } from './backend-suspension.ts'
import type { Answer } from './contract.ts'
import type { SignalRow } from './generated/operations.ts'
import { readWaitpoint, type Waitpoint } from './waitpoint-record.ts'

type Listed = Extract<Answer<'waitpoint.list'>, { outcome: 'listed' }>

export function readSignal(row: SignalRow): Signal {
  return {
    position: row.position,
    signalId: row.id,
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
    effect: row.effect as SignalEffect,
    payload: row.payload,
  }
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

/**
 * Every waitpoint, by id, with those of the signals that counted at it; `fingerprint` says how to
 * speak of its token.
 */
export function readWaitpoints(
  listed: Listed,
  accepted: readonly Signal[],
  fingerprint: (point: Waitpoint) => string | undefined,
): WaitpointSummary[] {
  const signals = new Map(accepted.map((signal) => [signal.position, signal]))
  return Object.entries(listed.points)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, text]) => {
      const point = readWaitpoint(id, text)
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
        signals: point.matched.flatMap((position) => signals.get(position) ?? []),
      }
    })
}

/** What a signal did in the end: kept for a waitpoint that was never used, it did nothing. */
export function finalEffect(signal: Signal, points: readonly WaitpointSummary[]): Signal {
  if (signal.effect !== 'buffered_for_pending_waitpoint') return signal
  const point = points.find(({ waitpointId }) => waitpointId === signal.waitpointId)
  if (point?.state !== 'expired' && point?.state !== 'closed') return signal
  return { ...signal, effect: 'no_op_waitpoint_never_activated' }
}
