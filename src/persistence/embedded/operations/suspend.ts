// Suspending until signals come, or going on because they have come; and resuming by an operator.
import { counts } from '../../../limits.ts'
import { type ConditionNode, parseCondition } from '../../condition-node.ts'
import type { Answer, Arguments, Refusal } from '../../contract.ts'
import type { Waitpoint } from '../../waitpoint-record.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { loadDue } from '../due.ts'
import { checkSettle, settle } from '../fence.ts'
import { isCurrentKey } from '../keyring.ts'
import type { Execution } from '../record.ts'
import { resumeByOperator } from '../resume.ts'
import { loadSignal, type Signal, saveSignal, signalRows } from '../signals.ts'
import {
  loadSuspension,
  newSuspension,
  offerTo,
  openSuspension,
  type Suspension,
  satisfiersOf,
  storeSuspension,
  updateSuspension,
} from '../suspension.ts'
import { applyEvent, commit } from '../transition.ts'
import {
  closeWaitpoint,
  hasRoom,
  isAlive,
  isExpired,
  loadWaitpoint,
  newWaitpoint,
  saveWaitpoint,
} from '../waitpoints.ts'

type Suspend = Arguments<'execution.suspend'>

const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'code' in value

const rowsOf = ({ stored }: Execution, s: Suspension) => signalRows(stored, satisfiersOf(s))

function invalid(argument: string, why: string): Refusal {
  return refuse('invalid_input', { argument, why })
}

/** When the suspension's time is over, if ever. */
function deadlineOf(args: Suspend, nowMs: number): number | undefined | Refusal {
  const atMs = args.timeout_ms === undefined ? args.timeout_at : nowMs + args.timeout_ms
  if (atMs !== undefined && atMs < nowMs - counts.deadlineSkewMs) {
    return invalid('timeout_at', 'is in the past')
  }
  if (atMs === undefined && args.condition === 'timeout') {
    return invalid('timeout_at', 'is missing: nothing else would resume it')
  }
  return atMs
}

/** A waitpoint that was issued before. */
function issued(call: CallContext, x: Execution, id: string): Waitpoint | Refusal {
  const point = loadWaitpoint(x, id)
  if (point === undefined) return refuse('waitpoint_not_found', { waitpoint: id })
  if (point.state !== 'pending') {
    return refuse('waitpoint_not_pending', { waitpoint: id, state: point.state })
  }
  if (!isAlive(x, point)) return refuse('invalid_waitpoint_for_execution', { waitpoint: id })
  if (isExpired(point, call.nowMs)) return refuse('pending_waitpoint_expired', { waitpoint: id })
  return point
}

/** A waitpoint that begins with this suspension. */
function fresh(
  call: CallContext,
  x: Execution,
  item: readonly [id: string, key: string, kid: string],
): Waitpoint | Refusal {
  const [id, key, kid] = item
  if (loadWaitpoint(x, id) !== undefined) {
    return refuse('waitpoint_already_exists', { waitpoint: id })
  }
  if (!isCurrentKey(call, kid)) return refuse('signing_key_replaced', { kid })
  return newWaitpoint(x, { id, key, kid, scope: 'attempt' }, call.nowMs)
}

/** The waitpoints that the suspension is bound to, or the first refusal. */
function bind(call: CallContext, x: Execution, items: string): Waitpoint[] | Refusal {
  const points: Waitpoint[] = []
  for (const item of items.split(',')) {
    const [id = '', key, kid] = item.split(' ')
    const isNew = key !== undefined && kid !== undefined
    const point = isNew ? fresh(call, x, [id, key, kid]) : issued(call, x, id)
    if (isRefusal(point)) return point
    if (points.some((other) => other.key === point.key)) {
      return invalid('waitpoints', `name the key ${point.key} twice`)
    }
    points.push(point)
  }
  return hasRoom(x, points.length) ? points : refuse('waitpoint_limit_exceeded')
}

/** What came of the signals that were there before the suspension. */
interface Early {
  readonly signals: readonly Signal[]
  readonly points: readonly Waitpoint[]
  /** Position of the one that met the condition. */
  readonly closer: number | undefined
}

function offerEarly(
  x: Execution,
  s: Suspension,
  tree: ConditionNode,
  points: readonly Waitpoint[],
): Early {
  const positions = points.flatMap((point) => point.buffered).sort((a, b) => a - b)
  const matched = new Map<string, number[]>()
  let closer: number | undefined
  const signals = positions.map((position) => {
    const signal = loadSignal(x, position)
    const { effect, met, additions } = offerTo(s, tree, signal)
    if (additions.length > 0) {
      matched.set(signal.waitpoint, [...(matched.get(signal.waitpoint) ?? []), position])
    }
    if (met && closer !== undefined) return { ...signal, effect: 'appended_to_waitpoint' }
    if (met) closer = position
    return { ...signal, effect }
  })
  const seen = points.map((point) => ({ ...point, matched: matched.get(point.id) ?? [] }))
  return { signals, points: seen, closer }
}

function fieldsOf({ f }: Execution, args: Suspend, atMs: number | undefined, nowMs: number) {
  return {
    id: args.suspension,
    attempt: f.attempt,
    epoch: f.epoch,
    reason: args.reason,
    by: args.requested_by,
    at: nowMs,
    timeout_at: atMs,
    behaviour: args.behaviour,
    condition: args.condition,
    delay_ms: args.resume_delay_ms,
    pointer: args.pointer,
    count: 0,
  }
}

/** The signals had come already: the worker goes on under its lease. */
function satisfied(
  call: CallContext,
  x: Execution,
  s: Suspension,
  { points, closer }: Early,
): Answer<'execution.suspend'> {
  s.f.set('closed_at', String(call.nowMs))
  s.f.set('closed', 'resumed')
  s.f.set('closer', String(closer))
  storeSuspension(call, x, s)
  for (const point of points) {
    closeWaitpoint(call, x, { ...point, suspension: s.f.get('id') }, 'resumed')
  }
  return { outcome: 'satisfied', signals: rowsOf(x, s), replayed: false }
}

function park(
  call: CallContext,
  x: Execution,
  args: Suspend,
  s: Suspension,
  points: readonly Waitpoint[],
  atMs: number | undefined,
): Answer<'execution.suspend'> {
  const { f } = x
  storeSuspension(call, x, s)
  for (const point of points) {
    saveWaitpoint(call, x, { ...point, state: 'active', suspension: args.suspension })
  }
  // The attempt's clock stands still while it waits.
  if (f.attempt_deadline_at !== undefined) f.attempt_left_ms = f.attempt_deadline_at - call.nowMs
  f.parked = 1
  f.suspension = args.suspension
  f.wait_until = atMs
  applyEvent(x, 'suspend')
  settle(x, 'suspend', args.digest, atMs === undefined ? undefined : String(atMs))
  commit(call, x)
  return { outcome: 'suspended', timeout_at: atMs, replayed: false }
}

function suspendedBefore(rest: string): Answer<'execution.suspend'> {
  return {
    outcome: 'suspended',
    timeout_at: rest === '' ? undefined : Number(rest),
    replayed: true,
  }
}

export function suspend(call: CallContext, args: Suspend): Answer<'execution.suspend'> {
  const checked = checkSettle(call, 'suspend', args, suspendedBefore)
  if ('answer' in checked) return checked.answer
  const { x } = checked
  const before = loadSuspension(x)
  if (before?.f.get('id') === args.suspension && before.f.get('epoch') === String(x.f.epoch)) {
    return { outcome: 'satisfied', signals: rowsOf(x, before), replayed: true }
  }
  const atMs = deadlineOf(args, call.nowMs)
  if (isRefusal(atMs)) return atMs
  const tree = parseCondition(args.condition, args.points.split(',').length)
  if (typeof tree === 'string') return refuse('invalid_resume_condition', { why: tree })
  const bound = bind(call, x, args.points)
  if (isRefusal(bound)) return bound
  const ids = bound.map(({ id }) => id)
  const s = newSuspension(fieldsOf(x, args, atMs, call.nowMs), ids)
  const early = offerEarly(x, s, tree, bound)
  // Nothing was written above this line, and nothing below it can fail.
  for (const signal of early.signals) saveSignal(call, x, signal)
  s.f.set('count', String(early.signals.length))
  if (early.closer !== undefined) return satisfied(call, x, s, early)
  return park(call, x, args, s, early.points, atMs)
}

export function resumeExecution(
  call: CallContext,
  args: Arguments<'execution.resume'>,
): Answer<'execution.resume'> {
  const x = loadDue(call, args.id)
  if (x === undefined) return refuse('execution_not_found')
  if (loadSuspension(x)?.f.get('resumed_by') === args.resume_id) {
    // The same request again, after its answer was lost.
    return { outcome: 'resumed', state: x.f.state, replayed: true }
  }
  if (x.f.state !== 'suspended') return refuse('execution_not_suspended', { state: x.f.state })
  const s = openSuspension(x)
  updateSuspension(call, x, s, { resumed_by: args.resume_id })
  resumeByOperator(call, x, s, args.delay_ms)
  return { outcome: 'resumed', state: x.f.state, replayed: false }
}
