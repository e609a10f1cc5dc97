// What the end of an execution means for those that wait; the twin of lua/lib/dependents.lua.
import { counts as limits } from '../../limits.ts'
import { leafOf } from '../../machines/table.ts'
import type { CallContext } from './call-context.ts'
import { finish } from './finish.ts'
import { flowOf } from './flow.ts'
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
  if (x.f.ended_at !== undefined) {
    hash.set('state', 'closed')
    return
  }
  const verdict = x.f.deps === undefined ? 'pending' : judge(group)
  if (verdict === 'pending') return
  hash.set('state', verdict)
  if (verdict === 'satisfied') openGate(call, x)
  else giveUp(call, x, group)
  if (hash.get('remaining') === 'cancel') call.backlog.push(`spare ${id} 0`)
}

export interface Chunk {
  readonly found: readonly string[]
  readonly hasMore: boolean
}

export function chunkOf(ids: readonly string[], from: number): Chunk {
  const found = ids.slice(from, from + limits.graphChunk)
  return { found, hasMore: ids.length > from + limits.graphChunk }
}

/** Pushes what is left of an item whose place is the word at `position`. */
export function pushRest(
  call: CallContext,
  words: readonly string[],
  position: number,
  hasMore: boolean,
): void {
  if (!hasMore) return
  const next = Number(words[position]) + limits.graphChunk
  call.backlog.push(words.map((word, at) => (at === position ? next : word)).join(' '))
}

/** Votes on the edges that lead out of an ended execution. */
export function resolve(call: CallContext, words: readonly string[]): number {
  const [, id = '', replays, from] = words
  const upstream = call.keyspace.executions.get(id)
  if (upstream?.fields.ended_at === undefined) return 1
  if (String(upstream.fields.replays ?? 0) !== replays) return 1
  const { found, hasMore } = chunkOf(upstream.down ?? [], Number(from))
  for (const downstream of found) {
    const group = loadGroup(call, downstream)
    const edge = requireEdge(group, id)
    if (edge.vote !== 'u') continue
    castVote(group, edge, voteNow(edge.kind, upstream))
    settleGroup(call, group)
  }
  pushRest(call, words, 3, hasMore)
  return found.length
}

/** Whether all that depends on an execution is decided; who feeds too many is left alone. */
function isSpare(call: CallContext, upstream: StoredExecution): boolean {
  const { found, hasMore } = chunkOf(upstream.down ?? [], 0)
  if (hasMore) return false
  return found.every((id) => {
    const { hash } = loadGroup(call, id)
    return hash.get('sealed') !== undefined && hash.get('state') !== 'pending'
  })
}

/** Cancels the upstreams that a decided group no longer needs. */
export function spare(call: CallContext, words: readonly string[]): number {
  const group = loadGroup(call, words[1] ?? '')
  const { found, hasMore } = chunkOf(group.stored.up ?? [], Number(words[2]))
  for (const id of found) {
    const x = call.keyspace.load(id)
    if (x === undefined || x.f.ended_at !== undefined) continue
    if (requireEdge(group, id).vote !== 'u') continue
    if (flowOf(call, x).hash.get('root') === id || !isSpare(call, x.stored)) continue
    applyEvent(x, 'cancelExecution')
    x.by = 'flow'
    finish(call, x, 'no_longer_needed', undefined)
  }
  pushRest(call, words, 2, hasMore)
  return found.length
}
