// The inbound edges of one execution, their votes and verdict; the twin of lua/lib/group.lua.
import { invariant } from '../../errors.ts'
import type { CallContext } from './call-context.ts'
import type { Hash } from './hash.ts'
import type { StoredExecution } from './record.ts'

/** What an edge says: nothing yet, satisfied, failed, skipped. */
export type Vote = 'u' | 's' | 'f' | 'x'

export interface Edge {
  readonly upstream: string
  readonly kind: string
  vote: Vote
  readonly inbound: number
  readonly outbound: number
  readonly createdAtMs: number
  readonly name: string
}

export interface Group {
  readonly id: string
  readonly hash: Hash
  /** Whose edges they are. */
  readonly stored: StoredExecution
}

/** How many edges there are, and how many of each vote. */
export interface Counts {
  n: number
  s: number
  f: number
  x: number
}

export type Verdict = 'satisfied' | 'impossible' | 'pending'

/** The group of an execution; one without any edge has no state. */
export function groupOf({ keyspace }: CallContext, stored: StoredExecution): Group {
  return { id: stored.id, hash: keyspace.hashOf(stored, 'group'), stored }
}

export function loadGroup(call: CallContext, id: string): Group {
  const stored = call.keyspace.executions.get(id)
  invariant(stored !== undefined, `there is no execution ${id} to have edges`)
  return groupOf(call, stored)
}

export function createGroup(
  group: Group,
  values: Readonly<Record<string, string | number | undefined>>,
): void {
  for (const [name, value] of Object.entries(values)) group.hash.set(name, value)
  group.hash.set('state', 'pending')
}

const edgePattern = /^([a-z]) ([a-z]) (\d+) (\d+) (\d+) (\S*)$/

/** An edge as it is stored, or undefined for what is none. */
export function parseEdge(upstream: string, text: string): Edge | undefined {
  const match = edgePattern.exec(text)
  if (match === null) return undefined
  const [, kind = '', vote, inbound, outbound, createdAt, name = ''] = match
  return {
    upstream,
    kind,
    vote: vote as Vote,
    inbound: Number(inbound),
    outbound: Number(outbound),
    createdAtMs: Number(createdAt),
    name,
  }
}

/** The edge from an upstream, or undefined when there is none. */
export function edgeOf({ hash }: Group, upstream: string): Edge | undefined {
  const text = hash.get(upstream)
  if (text === undefined) return undefined
  const edge = parseEdge(upstream, text)
  invariant(edge !== undefined, `"${text}" is not an edge`)
  return edge
}

export function requireEdge(group: Group, upstream: string): Edge {
  const edge = edgeOf(group, upstream)
  invariant(edge !== undefined, `there is no edge from ${upstream} to ${group.id}`)
  return edge
}

function saveEdge({ hash }: Group, edge: Edge): void {
  const { kind, vote, inbound, outbound, createdAtMs, name } = edge
  hash.set(edge.upstream, `${kind} ${vote} ${inbound} ${outbound} ${createdAtMs} ${name}`)
}

/** Adds an edge without a vote. */
export function link(
  call: CallContext,
  group: Group,
  upstream: StoredExecution,
  kind: string,
  name: string,
): void {
  const { keyspace, nowMs } = call
  const { inbound, outbound } = keyspace.link(upstream, group.stored)
  saveEdge(group, {
    upstream: upstream.id,
    kind,
    vote: 'u',
    inbound,
    outbound,
    createdAtMs: nowMs,
    name,
  })
  group.hash.add('n', 1)
}

/** Nobody waits for its edges any more, decided or not. Tells whether to look at its upstreams. */
export function closeGroup({ hash }: Group): boolean {
  if (hash.get('state') === 'pending') hash.set('state', 'closed')
  return hash.get('watched') !== undefined
}

const joined = ['policy', 'state', 'k', 'remaining', 'impossible', 'collect']

/** The group in words, as readers get it: how it is joined, how it stands, its counts. */
export function groupWords({ hash }: Group): string {
  const words = [
    ...joined.map((name) => hash.get(name) ?? ''),
    ...['n', 's', 'f', 'x'].map((name) => String(hash.number(name))),
    hash.get('sealed') === undefined ? '' : 'sealed',
  ]
  return words.join(' ')
}

/** What an edge says once its upstream has ended so. */
export function voteFor(kind: string, publicState: string): Vote {
  if (kind === 'c' || publicState === 'completed') return 's'
  return publicState === 'skipped' ? 'x' : 'f'
}

/** From now on the group is about what the execution adds itself; what it came after has no say. */
export function becomeParent({ hash, stored }: Group): void {
  hash.set('dynamic', 1)
  hash.set('children_from', stored.up?.length ?? 0)
  for (const name of ['n', 's', 'f', 'x', 'k', 'remaining']) hash.set(name, undefined)
  hash.set('state', 'pending')
  hash.set('policy', 'all')
  hash.set('impossible', 'resume')
  hash.set('collect', 'all')
}

/** Keeps the vote of an edge, and counts it for the one before where it has a say. */
export function castVote(group: Group, edge: Edge, vote: Vote): void {
  if (edge.vote === vote) return
  if (edge.inbound >= group.hash.number('children_from')) {
    if (edge.vote !== 'u') group.hash.add(edge.vote, -1)
    if (vote !== 'u') group.hash.add(vote, 1)
  }
  saveEdge(group, { ...edge, vote })
}

/** Puts counts and votes as they were found anew. */
export function restoreGroup(
  group: Group,
  votes: ReadonlyMap<string, Vote>,
  counts: Readonly<Counts>,
): void {
  for (const [upstream, vote] of votes) {
    const edge = requireEdge(group, upstream)
    if (edge.vote !== vote) saveEdge(group, { ...edge, vote })
  }
  for (const [name, count] of Object.entries(counts)) {
    group.hash.set(name, count === 0 ? undefined : count)
  }
  group.hash.set('later_round', undefined)
  group.hash.set('state', 'pending')
}

/**
 * Begins a new round of a parent's waiting, unless one has begun: only what it has not seen yet
 * counts. Whoever runs may still want what a join before did not need: no later round cancels it.
 */
export function nextRound({ hash }: Group): void {
  if (hash.get('state') === 'pending') return
  // Which round a vote belongs to is not kept: from here on none is taken back.
  hash.set('later_round', 1)
  hash.add('n', -(hash.number('s') + hash.number('f') + hash.number('x')))
  for (const name of ['s', 'f', 'x', 'remaining']) hash.set(name, undefined)
  hash.set('state', 'pending')
}

function countsOf({ hash }: Group): Counts {
  return { n: hash.number('n'), s: hash.number('s'), f: hash.number('f'), x: hash.number('x') }
}

/** What such counts decide. */
export function judge(
  { hash }: Group,
  counts: Readonly<Counts> = countsOf({ hash } as Group),
): Verdict {
  const { n, s } = counts
  const lost = counts.f + counts.x
  const policy = hash.get('policy')
  if (policy === 'all') {
    if (s === n) return 'satisfied'
    const isFirst = hash.get('collect') !== 'all'
    return lost > 0 && (isFirst || s + lost === n) ? 'impossible' : 'pending'
  }
  const k = policy === 'any' ? 1 : hash.number('k')
  if (n === 0 || s >= k) return 'satisfied'
  return lost > n - k ? 'impossible' : 'pending'
}
