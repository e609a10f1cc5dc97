// The waitpoints of an execution; the twin of lua/lib/waitpoints.lua.
import { counts } from '../../limits.ts'
import { readWaitpoint, type Waitpoint, writeWaitpoint } from '../waitpoint-record.ts'
import type { CallContext } from './call-context.ts'
import type { Execution } from './record.ts'

const runOf = ({ f }: Execution) => f.replays ?? 0

export function loadWaitpoint(x: Execution, id: string): Waitpoint | undefined {
  const text = x.stored.points?.get(id)
  return typeof text === 'string' ? readWaitpoint(id, text) : undefined
}

export function saveWaitpoint({ keyspace }: CallContext, x: Execution, point: Waitpoint): void {
  keyspace.storeField(x.stored, 'points', point.id, writeWaitpoint(point))
}

/** Whether the execution may still issue so many more. */
export function hasRoom({ stored }: Execution, count: number): boolean {
  return (stored.points?.size ?? 0) + count <= counts.waitpointsPerExecutionMax
}

/**
 * A waitpoint that has just been issued. One of an attempt dies with it, one of a run outlives
 * retries.
 */
export function newWaitpoint(
  x: Execution,
  given: Pick<Waitpoint, 'id' | 'key' | 'kid' | 'scope'>,
  nowMs: number,
): Waitpoint {
  return {
    ...given,
    attempt: x.f.attempt ?? 0,
    run: runOf(x),
    state: 'pending',
    created_at: nowMs,
    expires_at: undefined,
    suspension: undefined,
    closed_at: undefined,
    reason: undefined,
    last_at: undefined,
    count: 0,
    buffered: [],
    matched: [],
  }
}

/** Whether a pending waitpoint still belongs to what the execution is doing. */
export function isAlive(x: Execution, point: Waitpoint): boolean {
  if (point.run !== runOf(x)) return false
  if (point.scope === 'run') return true
  return point.attempt === x.f.attempt && (x.f.state === 'leased.held' || x.f.parked !== undefined)
}

export function isExpired(point: Waitpoint, nowMs: number): boolean {
  return point.expires_at !== undefined && point.expires_at <= nowMs
}

export function closeWaitpoint(
  call: CallContext,
  x: Execution,
  point: Waitpoint,
  reason: string,
): void {
  saveWaitpoint(call, x, { ...point, state: 'closed', closed_at: call.nowMs, reason })
}
