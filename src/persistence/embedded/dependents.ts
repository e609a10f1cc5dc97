// What the end of an execution means for those that wait; the twin of lua/lib/dependents.lua.
import { counts as limits } from '../../limits.ts'
import { leafOf } from '../../machines/table.ts'
import type { CallContext } from './call-context.ts'
import { cancelMember } from './cascade.ts'
import { finish } from './finish.ts'
import { flowOf, isDoomed } from './flow.ts'
import { gateFacts } from './gates.ts'
import { castVote, type Group, judge, loadGroup, requireEdge, type Vote, voteFor } from './group.ts'
import type { Execution, StoredExecution } from './record.ts'
import { accepts, applyEvent, commit } from './transition.ts'

type Stored = Pick<StoredExecution, 'fields'>

/** What everybody sees of an execution, such as "completed". */
export function publicState({ fields }: Stored): string {
  return leafOf(fields.state)?.public ?? ''
}

/** The upstream's vote as it stands now: "u" while it has not ended. */
export function voteNow(kind: string, upstream: Stored | undefined): Vote {
  if (upstream?.fields.ended_at === undefined) return 'u'
  return voteFor(kind, publicState(upstream))
}

function openGate(call: CallContext, x: Execution): void {
  x.f.deps = undefined
  if (accepts(x, 'childrenSettled')) applyEvent(x, 'childrenSettled', gateFacts(call, x))
  commit(call, x)
}

function close(call: CallContext, x: Execution, event: 'dependencyFailed' | 'skip'): void {
  applyEvent(x, event)
  finish(call, x, 'dependency_failed', undefined)
}

/**
 * What happens to the execution when its group can no longer be satisfied. Whoever has begun is
 * never skipped: it goes on and sees what failed.
 */
function giveUp(call: CallContext, x: Execution, group: Group): void {
  const wish = group.hash.get('impossible') ?? 'skip'
  if (wish === 'fail') close(call, x, 'dependencyFailed')
  else if (wish === 'skip' && x.f.parked === undefined) close(call, x, 'skip')
  else openGate(call, x)
}

/** Decides a sealed, pending group whose execution waits for it. */
export function settleGroup(call: CallContext, group: Group): void {
  const { hash, id } = group
  if (hash.get('state') !== 'pending' || hash.get('sealed') === undefined) return
  const x = call.keyspace.load(id)
  if (x === undefined) return
  const verdict = x.f.deps === undefined ? 'pending' : judge(group)
  if (verdict === 'pending') return
  if (isDoomed(flowOf(call, x), x)) {
    // Whether the votes or the cascade come first must not matter.
    cancelMember(call, x)
    return
  }
  hash.set('state', verdict)
  if (verdict === 'satisfied') openGate(call, x)
  else giveUp(call, x, group)
  const hasSpare = hash.get('remaining') === 'cancel' || hash.get('watched') !== undefined
  if (hasSpare) call.backlog.push(`spare ${id} 0`)
}

/**
 * Does the same for a bounded part of a list, from the place that is the word at `position`; the
 * rest is left for later. What is done for an id is one unit, or as many as `act` says. Returns
 * how much it was.
 */
export function walk(
  call: CallContext,
  ids: readonly string[],
  words: readonly string[],
  position: number,
  act: (id: string) => number | undefined,
): number {
  // As it is now: `act` may add to it.
  const { length } = ids
  let place = Number(words[position])
  let used = 0
  const end = Math.min(length, place + limits.graphChunk)
  for (; place < end && used < limits.graphChunk; place++) used += act(ids[place] ?? '') ?? 1
  if (place < length) {
    call.backlog.push(words.map((word, at) => (at === position ? place : word)).join(' '))
  }
  return used
}

/** Votes on the edges that lead out of an ended execution. */
export function resolve(call: CallContext, words: readonly string[]): number {
  const [, id = '', replays] = words
  const upstream = call.keyspace.executions.get(id)
  if (upstream?.fields.ended_at === undefined) return 1
  if (String(upstream.fields.replays ?? 0) !== replays) return 1
  return walk(call, upstream.down ?? [], words, 3, (downstream) => {
    // Their flow may be on its way out.
    if (!call.keyspace.executions.has(downstream)) return
    const group = loadGroup(call, downstream)
    const edge = requireEdge(group, id)
    if (edge.vote === 'u') castVote(group, edge, voteNow(edge.kind, upstream))
    settleGroup(call, group)
  })
}

/**
 * Whether a group was decided without the upstream and wants it cancelled, and no other one still
 * counts on it; that one is looked at again once it is decided. Who feeds too many is left alone.
 */
function isSpare(call: CallContext, { id, down = [] }: StoredExecution): boolean {
  if (down.length > limits.sparedFeedsMax) return false
  let isOwed = false
  for (const downstream of down) {
    const group = loadGroup(call, downstream)
    const { hash } = group
    const state = hash.get('state')
    if (state === 'pending') {
      hash.set('watched', 1)
      return false
    }
    const wants = hash.get('remaining') === 'cancel' && state !== 'closed'
    isOwed ||= wants && requireEdge(group, id).vote === 'u'
  }
  return isOwed
}

/** Cancels the upstreams that nobody needs any more. */
export function spare(call: CallContext, words: readonly string[]): number {
  const waiter = call.keyspace.executions.get(words[1] ?? '')
  return walk(call, waiter?.up ?? [], words, 2, (id) => {
    const x = call.keyspace.load(id)
    if (x === undefined || x.f.ended_at !== undefined) return
    const flow = flowOf(call, x)
    if (isDoomed(flow, x)) cancelMember(call, x)
    else if (flow.hash.get('root') !== id && isSpare(call, x.stored)) {
      applyEvent(x, 'cancelExecution')
      x.by = 'flow'
      finish(call, x, 'no_longer_needed', undefined)
    }
  })
}
