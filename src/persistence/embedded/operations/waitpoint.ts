// Waitpoints: issuing one before its suspension, closing it, and reading all of them.
import type { Answer, Arguments } from '../../contract.ts'
import { readWaitpoint, type Waitpoint } from '../../waitpoint-record.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { checkFence } from '../fence.ts'
import { isCurrentKey } from '../keyring.ts'
import type { Execution } from '../record.ts'
import { signalRows } from '../signals.ts'
import {
  closeWaitpoint,
  hasRoom,
  isAlive,
  loadWaitpoint,
  newWaitpoint,
  saveWaitpoint,
} from '../waitpoints.ts'

/** Whether the call was answered with this waitpoint before, and it is still worth something. */
function isRepeated(
  x: Execution,
  known: Waitpoint,
  { key, scope }: Arguments<'waitpoint.create'>,
): boolean {
  return (
    known.state === 'pending' && known.key === key && known.scope === scope && isAlive(x, known)
  )
}

export function createWaitpoint(
  call: CallContext,
  args: Arguments<'waitpoint.create'>,
): Answer<'waitpoint.create'> {
  const checked = checkFence(call, args)
  if ('refusal' in checked) return checked.refusal
  const { x } = checked
  const { waitpoint: id, key, kid, scope, expires_ms: expiresMs } = args
  const known = loadWaitpoint(x, id)
  if (known !== undefined) {
    if (!isRepeated(x, known, args)) {
      return refuse('waitpoint_already_exists', { waitpoint: id })
    }
    return { outcome: 'created', expires_at: known.expires_at, replayed: true }
  }
  if (!isCurrentKey(call, kid)) return refuse('signing_key_replaced', { kid })
  if (!hasRoom(x, 1)) return refuse('waitpoint_limit_exceeded')
  const expiresAt = expiresMs === undefined ? undefined : call.nowMs + expiresMs
  const point = newWaitpoint(x, { id, key, kid, scope }, call.nowMs)
  saveWaitpoint(call, x, { ...point, expires_at: expiresAt })
  return { outcome: 'created', expires_at: expiresAt, replayed: false }
}

export function closePending(
  call: CallContext,
  args: Arguments<'waitpoint.close'>,
): Answer<'waitpoint.close'> {
  const checked = checkFence(call, args)
  if ('refusal' in checked) return checked.refusal
  const { x } = checked
  const point = loadWaitpoint(x, args.waitpoint)
  if (point === undefined) return refuse('waitpoint_not_found', { waitpoint: args.waitpoint })
  if (point.state === 'closed') return { outcome: 'closed', replayed: true }
  // While the lease is held nothing is suspended, so the waitpoint can only be pending.
  closeWaitpoint(call, x, point, args.why)
  return { outcome: 'closed', replayed: false }
}

export function listWaitpoints(
  { keyspace, nowMs }: CallContext,
  { id, with_signals: withSignals }: Arguments<'waitpoint.list'>,
): Answer<'waitpoint.list'> {
  const stored = keyspace.executions.get(id)
  if (stored === undefined) return { outcome: 'absent' }
  const { attempt, parked, replays = 0, state } = stored.fields
  const points = [...(stored.points ?? [])].map(([name, text]) => [name, String(text)] as const)
  const matched = points
    .flatMap(([name, text]) => readWaitpoint(name, text).matched)
    .sort((a, b) => a - b)
  return {
    outcome: 'listed',
    points: Object.fromEntries(points),
    signals: withSignals ? signalRows(stored, matched) : [],
    state,
    attempt: attempt === undefined ? undefined : String(attempt),
    run: String(replays),
    interrupted: parked !== undefined,
    now: nowMs,
  }
}
