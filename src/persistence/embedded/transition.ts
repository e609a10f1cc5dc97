// The only writer of states and of index membership; the twin of lua/lib/transition.lua.
import { EngineError, invariant } from '../../errors.ts'
import { defaults, grantedScore, noDeadlineScore, priorityStepMs } from '../../limits.ts'
import type { ExecutionEventName, IndexName } from '../../machines/execution.ts'
import type { Fact } from '../../machines/facts.ts'
import { eventSources } from '../../machines/sources.ts'
import { type Leaf, leafOf, nextLeaf } from '../../machines/table.ts'
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'
import { memberMoved } from './flow.ts'
import { closeGroup, groupOf } from './group.ts'
import { isRouted, type Keyspace, routeOf } from './keyspace.ts'
import type { Execution } from './record.ts'
import { enterLimit, followLifecycle } from './slots.ts'
import { leaveWaiters } from './waiters.ts'

/** No fact holds. */
export const noFacts: ReadonlySet<Fact> = new Set()

type Fields = Readonly<ExecutionFields>

function requireLeaf(name: string): Leaf {
  const leaf = leafOf(name)
  invariant(leaf !== undefined, `there is no leaf ${name}`)
  return leaf
}

/** Whether the lifecycle accepts the event now. */
export function accepts(x: Execution, event: ExecutionEventName): boolean {
  return leafOf(x.f.state)?.on[event] !== undefined
}

/**
 * Moves the execution by the event under the facts that hold; an event that its leaf does not know
 * is a bug of the calling operation, which must have refused before.
 */
export function applyEvent(
  x: Execution,
  event: ExecutionEventName,
  facts: ReadonlySet<Fact> = noFacts,
): string {
  const leaf = requireLeaf(x.f.state)
  const target = nextLeaf(leaf.name, event, facts)
  if (target === undefined) {
    throw new EngineError('invariant_broken', `${leaf.name} does not accept ${event}`)
  }
  x.f.state = target
  x.event = event
  return target
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a
}

/** Higher priority first, then older first; a live grant takes the row out of everybody's way. */
function claimableScore(f: Fields): number {
  if (f.grant_until !== undefined) return grantedScore
  return f.created_at - (f.priority ?? 0) * priorityStepMs
}

function scoreOf(index: IndexName, f: Fields): number | undefined {
  if (isRouted(index)) return claimableScore(f)
  if (index === 'leased') return earliest(f.expires_at, f.attempt_deadline_at)
  if (index === 'delayed') return f.not_before
  if (index === 'suspended') return f.wait_until ?? noDeadlineScore
  if (index !== 'terminal') return f.created_at
  // Members stay for as long as their flow does.
  if (f.flow !== undefined) return noDeadlineScore
  return f.ended_at === undefined
    ? undefined
    : f.ended_at + (f.retention_ms ?? defaults.retentionMs)
}

/** Times that are not the score of the execution's own index. */
function timerOf(index: IndexName, f: Fields): number | undefined {
  if (index === 'terminal') return undefined
  const atMs = earliest(earliest(f.deadline_at, f.grant_until), f.permit_until)
  return earliest(atMs, f.wait_until)
}

/** Where an execution stands in the indexes; all of it follows from its fields. */
interface Place {
  readonly index: IndexName
  readonly score: number
  readonly timer: number | undefined
}

/** The place of stored fields; `invariant_broken` when they cannot have one. */
function placeOf(f: Fields): Place {
  const { name, index } = requireLeaf(f.state)
  invariant(index !== 'none', `nothing is stored in ${name}`)
  const score = scoreOf(index, f)
  invariant(score !== undefined, `${name} has no score in ${index}`)
  return { index, score, timer: timerOf(index, f) }
}

/** Ready work of a key stands in a queue in which the keys of its route take turns. */
function takesTurns(index: IndexName, f: Fields): f is Fields & { readonly share: string } {
  return f.share !== undefined && index === 'ready'
}

/** How a route is listed in which keys take turns. */
const ringOf = ({ capabilities = '' }: Fields) => `${capabilities}|`

function leave(k: Keyspace, id: string, f: Fields, { index, score }: Place): void {
  if (!takesTurns(index, f)) {
    k.index(index, f).remove(id, score)
    return
  }
  const isOver = k.turns.remove(routeOf(f.lane, f.capabilities), f.share, id, score).ring
  if (isOver) k.removeRoute(f.lane, ringOf(f))
}

function enter(k: Keyspace, id: string, f: Fields, { index, score }: Place): void {
  if (!takesTurns(index, f)) {
    k.index(index, f).add(id, score)
    if (f.capabilities !== undefined && isRouted(index)) k.addRoute(f.lane, f.capabilities)
    return
  }
  const isFirst = k.turns.add(routeOf(f.lane, f.capabilities), f.share, id, score).ring
  if (isFirst) k.addRoute(f.lane, ringOf(f))
}

/** Moves the row of an execution; undefined when it is new. */
function moveRow(k: Keyspace, id: string, f: Fields, from: Place | undefined, to: Place): void {
  if (from?.index === to.index && from.score === to.score) return
  if (from !== undefined && from.index !== to.index) leave(k, id, f, from)
  enter(k, id, f, to)
  // Rescored work of a key keeps the turn of its key.
  if (from?.index === to.index) k.rowsOf(to.index, f).remove(id, from.score)
}

/** Moves an execution from where its old fields put it; undefined when it is new. */
function move(k: Keyspace, id: string, f: Fields, from: Place | undefined, to: Place): void {
  moveRow(k, id, f, from, to)
  if (from?.index === 'leased' && to.index !== 'leased' && f.lease_id !== undefined) {
    // Only a live lease is found by its id; its fields stay, as those of the last one.
    k.leases.delete(f.lease_id)
  }
  if (from?.timer !== to.timer) {
    if (from?.timer !== undefined) k.timers.remove(id, from.timer)
    if (to.timer !== undefined) k.timers.add(id, to.timer)
  }
}

/** Indexes whose work becomes claimable at the time that is its score. */
const timedIndexes: ReadonlySet<IndexName> = new Set(['leased', 'delayed', 'suspended'])

/** A holder that did not give its lease back works on until it is told. */
function tellHolder({ wake }: CallContext, { id, event, before }: Execution): void {
  invariant(event !== undefined && before.epoch !== undefined, `${id} left its lease by nothing`)
  if (eventSources[event] !== 'worker') wake.lost(id, before.epoch, event)
}

/** Stores the execution and moves its index row. */
export function commit(call: CallContext, x: Execution): void {
  const { f, before, stored, id } = x
  const { keyspace, nowMs, wake } = call
  f.updated_at = nowMs
  const from = before.state === 'absent' ? undefined : placeOf(before)
  if (f.limit !== undefined) {
    followLifecycle(call, x, requireLeaf(f.state).index, claimableScore(f))
  }
  const to = placeOf(f)
  // Nothing below this line can fail.
  keyspace.storeFields(stored, f)
  move(keyspace, id, f, from, to)
  if (from?.index === 'leased' && to.index !== 'leased') tellHolder(call, x)
  if (f.budgets !== undefined && from?.index === 'blocked' && to.index !== 'blocked') {
    leaveWaiters(keyspace, id, f)
  }
  if (isRouted(to.index)) wake.lane(f.lane, nowMs)
  else if (timedIndexes.has(to.index)) wake.lane(f.lane, to.score)
  if (x.event !== undefined) call.feed.moved({ id, fields: f }, x.event, x.by)
  x.event = undefined
  x.by = undefined
  if (f.flow !== undefined && before.state !== f.state) announceMember(call, x)
}

/** What a move means for the flow and for those that depend on the execution. */
function announceMember(call: CallContext, x: Execution): void {
  const { f, before, id } = x
  const to = requireLeaf(f.state)
  if (to.index === 'terminal' && f.has_down !== undefined) {
    call.backlog.push(`resolve ${id} ${f.replays ?? 0} 0`)
  }
  if (to.index === 'terminal' && f.has_up !== undefined && closeGroup(groupOf(call, x.stored))) {
    call.backlog.push(`spare ${id} 0`)
  }
  memberMoved(call, x, requireLeaf(before.state), to)
}

/** Enters a stored execution into its index, the listing, the timers and the leases. */
export function enterIndexes(keyspace: Keyspace, id: string, f: Fields): void {
  const place = placeOf(f)
  move(keyspace, id, f, undefined, place)
  enterLimit(keyspace, id, f, claimableScore(f))
  keyspace.listing.add(id, 0)
  if (place.index === 'leased' && f.lease_id !== undefined) keyspace.leases.set(f.lease_id, id)
}

/** Forgets an execution in its own index, the listing and the timers. */
export function leaveIndexes(keyspace: Keyspace, id: string, f: Fields): void {
  const { index, score, timer } = placeOf(f)
  keyspace.rowsOf(index, f).remove(id, score)
  keyspace.listing.remove(id, 0)
  if (timer !== undefined) keyspace.timers.remove(id, timer)
}
