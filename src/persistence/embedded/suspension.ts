// The latest suspension of an execution; the twin of lua/lib/suspension.lua.
import { invariant } from '../../errors.ts'
import { type ConditionNode, parseCondition } from '../condition-node.ts'
import { isSatisfied, offerSignal, tallyTokens } from '../condition-offer.ts'
import type { CallContext } from './call-context.ts'
import type { Execution } from './record.ts'
import type { Signal } from './signals.ts'
import { closeWaitpoint, loadWaitpoint } from './waitpoints.ts'

export interface Suspension {
  /** Its fields as they are stored. */
  readonly f: Map<string, string>
  /** The waitpoints that it is bound to. */
  readonly ids: readonly string[]
  /** What signals contributed to its condition, with the position of each signal. */
  readonly tokens: Map<string, number>
}

const effects = {
  new: 'appended_to_waitpoint',
  dup: 'appended_to_waitpoint_duplicate',
  mismatch: 'signal_ignored_matcher_failed',
  none: 'signal_ignored_not_in_condition',
} as const

type Fields = Readonly<Record<string, string | number | undefined>>

export function newSuspension(fields: Fields, ids: readonly string[]): Suspension {
  const suspension: Suspension = { f: new Map(), ids, tokens: new Map() }
  setFields(suspension, { ...fields, points: ids.join(',') })
  return suspension
}

function setFields({ f }: Suspension, fields: Fields): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) f.set(name, String(value))
  }
}

/** Undefined when there never was one. */
export function loadSuspension({ stored }: Execution): Suspension | undefined {
  if (stored.wait === undefined) return undefined
  const f = new Map<string, string>()
  const tokens = new Map<string, number>()
  for (const [name, value] of stored.wait) {
    if (name.startsWith('+')) tokens.set(name.slice(1), Number(value))
    else f.set(name, String(value))
  }
  return { f, ids: (f.get('points') ?? '').split(','), tokens }
}

/** The suspension of an execution that is suspended. */
export function openSuspension(x: Execution): Suspension {
  const suspension = loadSuspension(x)
  invariant(suspension !== undefined, `${x.id} is suspended without a suspension`)
  return suspension
}

/** Replaces the suspension before it. */
export function storeSuspension({ keyspace }: CallContext, x: Execution, s: Suspension): void {
  keyspace.dropFields(x.stored, 'wait')
  for (const [name, value] of s.f) keyspace.storeField(x.stored, 'wait', name, value)
  for (const [token, position] of s.tokens) {
    keyspace.storeField(x.stored, 'wait', `+${token}`, String(position))
  }
}

/** Sets fields of the stored suspension. */
export function updateSuspension(
  { keyspace }: CallContext,
  x: Execution,
  s: Suspension,
  fields: Fields,
  removed: readonly string[] = [],
): void {
  setFields(s, fields)
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) keyspace.storeField(x.stored, 'wait', name, String(value))
  }
  for (const name of removed) {
    s.f.delete(name)
    keyspace.storeField(x.stored, 'wait', name, undefined)
  }
}

export function conditionOf({ f, ids }: Suspension): ConditionNode {
  const tree = parseCondition(f.get('condition') ?? '', ids.length)
  invariant(typeof tree !== 'string', `a stored condition is broken: ${String(tree)}`)
  return tree
}

/** What became of a signal that was offered to the condition. */
export interface Offered {
  readonly effect: string
  /** Whether the condition is met now. */
  readonly met: boolean
  readonly additions: readonly string[]
}

/** Offers an accepted signal to the condition. */
export function offerTo(s: Suspension, tree: ConditionNode, signal: Signal): Offered {
  const seen = { ...signal, point: s.ids.indexOf(signal.waitpoint) }
  const { effect, additions } = offerSignal(tree, seen, s.tokens)
  for (const token of additions) s.tokens.set(token, signal.position)
  const met = effect === 'new' && isSatisfied(tree, tallyTokens(s.tokens.keys()))
  return { effect: met ? 'resume_condition_satisfied' : effects[effect], met, additions }
}

/** Closes the suspension and every waitpoint that it is bound to. */
export function closeSuspension(
  call: CallContext,
  x: Execution,
  s: Suspension,
  how: string,
  closer?: number,
): void {
  updateSuspension(call, x, s, { closed_at: call.nowMs, closed: how, closer })
  for (const id of s.ids) {
    const point = loadWaitpoint(x, id)
    invariant(point !== undefined, `waitpoint ${id} is missing`)
    if (point.state !== 'closed') closeWaitpoint(call, x, point, how)
  }
}

/** Forgets in the execution's own fields that it is suspended. */
export function leaveSuspension({ f }: Execution): void {
  f.suspension = undefined
  f.wait_until = undefined
}

/** Positions of the signals that met the condition, in the order of their acceptance. */
export function satisfiersOf({ f, tokens }: Suspension): readonly number[] {
  const positions = new Set(tokens.values())
  const closer = f.get('closer')
  if (closer !== undefined) positions.add(Number(closer))
  return [...positions].sort((a, b) => a - b)
}
