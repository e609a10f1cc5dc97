// What the oracle knows of a flow: plain objects, no counters, no backlog.
import { type CancelPolicy, endings, type FlowState, type NodeState } from '../vocabulary.ts'

export interface Flow {
  readonly kind: string
  readonly failure: 'isolate' | 'fail_fast'
  readonly completion: 'all' | 'root'
  readonly root: string | undefined
  state: FlowState
  sealed: boolean
  cancelPolicy: CancelPolicy | undefined
}

export interface Node {
  readonly name: string
  readonly lane: string
  readonly createdMs: number
  deadlineMs: number | undefined
  state: NodeState
  /** Active under a lease that nobody took away. */
  held: boolean
  /** It gave its lease back in the middle of an attempt, and will go on with that attempt. */
  parked: boolean
  blocked: boolean
  /** Somebody wanted to claim it after its flow was cancelled. */
  withheld: boolean
  /** Its group has to be decided before it can run. */
  gated: boolean
  dueMs: number | undefined
  reason: string | undefined
  replays: number
}

/** Unresolved, succeeded, failed, skipped. */
export type Vote = 'u' | 's' | 'f' | 'x'

export interface Edge {
  readonly up: string
  readonly down: string
  readonly kind: 'success' | 'completion'
  readonly name: string
  vote: Vote
  /** Added by the downstream itself while it ran. */
  readonly isChild: boolean
  /** Part of the downstream's present round. */
  counted: boolean
  /** Its group was decided without it, and wants it cancelled. */
  spared: boolean
}

export interface Group {
  readonly down: string
  policy: 'all' | 'any' | 'quorum'
  k: number
  remaining: 'cancel' | 'run'
  /** Undefined stands for what fits a new downstream, or a parent that waits. */
  impossible: 'skip' | 'resume' | 'fail' | undefined
  collect: 'first' | 'all' | undefined
  state: 'pending' | 'satisfied' | 'impossible' | 'closed'
  sealed: boolean
  /** A running parent made it. */
  dynamic: boolean
  /** Its execution has begun before, and waits once more. */
  laterRound: boolean
}

export interface Tally {
  readonly n: number
  readonly s: number
  readonly f: number
  readonly x: number
}

export interface World {
  nowMs: number
  /** How often one call applies the rules; what they would still change is left over. */
  readonly passesMax: number
  flow: Flow | undefined
  readonly nodes: Map<string, Node>
  readonly edges: Edge[]
  /** The same edges by their ends. */
  readonly into: Map<string, Edge[]>
  readonly from: Map<string, Edge[]>
  readonly groups: Map<string, Group>
  /** Nodes that ended, whose dependents have yet to hear of it: the first one first. */
  readonly untold: string[]
}

export const emptyWorld = (passesMax: number): World => ({
  nowMs: 0,
  passesMax,
  flow: undefined,
  nodes: new Map(),
  edges: [],
  into: new Map(),
  from: new Map(),
  groups: new Map(),
  untold: [],
})

export const hasEnded = ({ state }: Node): boolean => endings.has(state)

export const edgesInto = ({ into }: World, down: string): readonly Edge[] => into.get(down) ?? []

export const edgesFrom = ({ from }: World, up: string): readonly Edge[] => from.get(up) ?? []

export function addEdge({ edges, into, from }: World, edge: Edge): void {
  edges.push(edge)
  into.set(edge.down, [...(into.get(edge.down) ?? []), edge])
  from.set(edge.up, [...(from.get(edge.up) ?? []), edge])
}

/** Counted anew whenever somebody asks. */
export function tallyOf(edges: readonly Edge[]): Tally {
  const counted = edges.filter((edge) => edge.counted)
  const of = (vote: Vote) => counted.filter((edge) => edge.vote === vote).length
  return { n: counted.length, s: of('s'), f: of('f'), x: of('x') }
}
