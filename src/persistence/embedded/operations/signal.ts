// Signals: accepting one, and reading those that were accepted.
import { counts } from '../../../limits.ts'
import type { Answer, Arguments, Refusal } from '../../contract.ts'
import type { Waitpoint } from '../../waitpoint-record.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { loadDue } from '../due.ts'
import { keyProblem } from '../keyring.ts'
import type { Execution } from '../record.ts'
import { resumeBySignal } from '../resume.ts'
import {
  appendSignal,
  countSignals,
  findSignal,
  noteSent,
  type Signal,
  sentBy,
  signalPolicy,
  signalRows,
} from '../signals.ts'
import {
  conditionOf,
  loadSuspension,
  offerTo,
  openSuspension,
  type Suspension,
  satisfiersOf,
  updateSuspension,
} from '../suspension.ts'
import { accepts } from '../transition.ts'
import { isAlive, isExpired, loadWaitpoint, saveWaitpoint } from '../waitpoints.ts'

type Deliver = Arguments<'signal.deliver'>

/**
 * Who shows a token of a key that does not count, or for a waitpoint that is not the execution's
 * own, learns nothing else.
 */
function authenticate(call: CallContext, x: Execution, args: Deliver): Refusal | undefined {
  const problem = keyProblem(call, args.kid)
  if (problem !== undefined) return refuse(problem)
  // Any key that counts may have signed: a long wait outlives the key that it began with.
  const point = loadWaitpoint(x, args.waitpoint)
  return point?.attempt === args.attempt ? undefined : refuse('invalid_token')
}

/** A signal that was accepted before, told again; or a refusal when its id has another content. */
function known(x: Execution, args: Deliver): Answer<'signal.deliver'> | undefined {
  const found = findSignal(x, args.signal, args.waitpoint, args.key)
  if (found === undefined) return undefined
  const { signal, byKey } = found
  if (!byKey && signal.digest !== args.digest) {
    return refuse('invalid_input', { argument: 'signal', why: 'was used for another signal' })
  }
  return { outcome: 'duplicate', signal: signal.id, effect: signal.effect }
}

/** Why the waitpoint takes no signals now. */
function late(call: CallContext, x: Execution, point: Waitpoint): Refusal | undefined {
  const closed = refuse('waitpoint_closed', { waitpoint: point.id })
  if (!accepts(x, 'cancelExecution')) return refuse('target_not_signalable', { state: x.f.state })
  if (point.state === 'active') {
    // Bound to an earlier suspension it is closed, even if nobody closed it.
    return point.suspension === x.f.suspension ? undefined : closed
  }
  if (point.state !== 'pending' || !isAlive(x, point)) return closed
  return isExpired(point, call.nowMs) ? closed : undefined
}

function exceeded(limit: string, max: number): Refusal {
  return refuse('signal_limit_exceeded', { limit, max: String(max) })
}

/** Whether somebody sent too much; else how often this sender sent in its window. */
function allowance(
  call: CallContext,
  x: Execution,
  point: Waitpoint,
  s: Suspension | undefined,
  signal: Signal,
): Refusal | { readonly sent: number; readonly beganMs: number } {
  const policy = signalPolicy(call)
  if (signal.position > policy.signals_per_execution) {
    return exceeded('signals_per_execution', policy.signals_per_execution)
  }
  if (s !== undefined && Number(s.f.get('count')) >= policy.signals_per_suspension) {
    return exceeded('signals_per_suspension', policy.signals_per_suspension)
  }
  if (s === undefined && point.count >= counts.bufferedSignalsMax) {
    return exceeded('buffered_signals', counts.bufferedSignalsMax)
  }
  const { sent, beganMs } = sentBy(call, x, signal, policy.sender_window_ms)
  if (sent < policy.signals_per_sender) return { sent, beganMs }
  const waitMs = beganMs + policy.sender_window_ms - call.nowMs
  return refuse('signal_rate_limited', { retry_after_ms: String(waitMs) })
}

function signalOf(call: CallContext, x: Execution, args: Deliver, key: string): Signal {
  return {
    position: countSignals(x.stored) + 1,
    id: args.signal,
    waitpoint: args.waitpoint,
    name: args.name ?? key,
    category: args.category,
    source: args.source,
    encoding: args.encoding,
    accepted_at: call.nowMs,
    created_at: args.created_at,
    effect: 'buffered_for_pending_waitpoint',
    digest: args.digest,
    identity: args.identity,
    correlation: args.correlation,
    key: args.key ?? '',
  }
}

/** Stores the signal and tells of it. */
function record(
  call: CallContext,
  x: Execution,
  signal: Signal,
  payload: Uint8Array | undefined,
): void {
  appendSignal(call, x, signal, payload)
  call.feed.add({ id: x.id, fields: x.f }, 'signal', signal.effect, 'signal')
}

/** Keeps the signal for the suspension that is to come. */
function buffer(call: CallContext, x: Execution, point: Waitpoint, signal: Signal): void {
  saveWaitpoint(call, x, {
    ...point,
    count: point.count + 1,
    last_at: call.nowMs,
    buffered: [...point.buffered, signal.position],
  })
}

/** Lets the signal count at once; returns its effect. */
function count(
  call: CallContext,
  x: Execution,
  point: Waitpoint,
  s: Suspension,
  args: Deliver,
  signal: Signal,
): string {
  const { effect, met, additions } = offerTo(s, conditionOf(s), signal)
  const { position } = signal
  record(call, x, { ...signal, effect }, args.payload)
  updateSuspension(call, x, s, {
    count: Number(s.f.get('count')) + 1,
    last_at: call.nowMs,
    ...Object.fromEntries(additions.map((token) => [`+${token}`, position])),
  })
  saveWaitpoint(call, x, {
    ...point,
    count: point.count + 1,
    last_at: call.nowMs,
    matched: additions.length > 0 ? [...point.matched, position] : point.matched,
  })
  if (met) resumeBySignal(call, x, s, position)
  return effect
}

export function deliver(call: CallContext, args: Deliver): Answer<'signal.deliver'> {
  const found = call.keyspace.load(args.id)
  if (found === undefined) return refuse('execution_not_found')
  const forged = authenticate(call, found, args)
  if (forged !== undefined) return forged
  const x = loadDue(call, args.id) as Execution
  const before = known(x, args)
  if (before !== undefined) return before
  const point = loadWaitpoint(x, args.waitpoint) as Waitpoint
  const refusal = late(call, x, point)
  if (refusal !== undefined) return refusal
  const signal = signalOf(call, x, args, point.key)
  const s = point.state === 'active' ? openSuspension(x) : undefined
  const allowed = allowance(call, x, point, s, signal)
  if ('outcome' in allowed) return allowed
  let { effect } = signal
  if (s === undefined) {
    record(call, x, signal, args.payload)
    buffer(call, x, point, signal)
  } else {
    effect = count(call, x, point, s, args, signal)
  }
  noteSent(call, x, signal, allowed.sent + 1, allowed.beganMs)
  return { outcome: 'accepted', effect }
}

export function observeSignals(
  { keyspace }: CallContext,
  { id, attempt }: Arguments<'signal.observe'>,
): Answer<'signal.observe'> {
  const x = keyspace.load(id)
  if (x === undefined) return refuse('execution_not_found')
  const s = loadSuspension(x)
  const closer = s?.f.get('closer')
  if (s === undefined || closer === undefined || Number(s.f.get('attempt')) !== attempt) {
    return { outcome: 'observed', signals: [] }
  }
  const positions = s.f.get('closed') === 'resumed' ? satisfiersOf(s) : [Number(closer)]
  return { outcome: 'observed', signals: signalRows(x.stored, positions) }
}

export function listSignals(
  { keyspace }: CallContext,
  { id, after, count: wanted }: Arguments<'signal.list'>,
): Answer<'signal.list'> {
  const stored = keyspace.executions.get(id)
  if (stored === undefined) return { outcome: 'absent' }
  const last = countSignals(stored)
  const found = Math.max(0, Math.min(wanted, last - after))
  const positions = Array.from({ length: found }, (_, at) => after + 1 + at)
  const signals = signalRows(stored, positions, true)
  return { outcome: 'listed', signals, more: after + signals.length < last }
}
