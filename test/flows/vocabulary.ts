// What can happen to a flow, and what can be seen of it: the words of the oracle and its subjects.

export const nodeStates = [
  'waiting',
  'blocked',
  'delayed',
  'waiting_children',
  'active',
  'suspended',
  'completed',
  'failed',
  'cancelled',
  'expired',
  'skipped',
] as const

export type NodeState = (typeof nodeStates)[number]

export const endings: ReadonlySet<NodeState> = new Set([
  'completed',
  'failed',
  'cancelled',
  'expired',
  'skipped',
] as const)

export type FlowState = 'open' | 'completed' | 'failed' | 'cancelled'

/** How much a cancelled flow takes with it, the least first. */
export const cancelPolicies = ['flow_only', 'cancel_pending', 'cancel_all'] as const

export type CancelPolicy = (typeof cancelPolicies)[number]

export interface FlowPlan {
  readonly kind?: string
  readonly failure?: 'isolate' | 'fail_fast'
  readonly completion?: 'all' | 'root'
  /** The member whose ending counts when `completion` says so; it is never spared. */
  readonly root?: string
  readonly tags?: string
}

export interface NodePlan {
  readonly name: string
  /** Its group stays unsealed. */
  readonly hold?: boolean
  /** Its start is so far ahead. */
  readonly delayMs?: number
  /** It ends unfinished so long after its creation. */
  readonly deadlineMs?: number
  /** Default: one of its own, so that a claim gets this node or nothing. */
  readonly lane?: string
}

export interface EdgePlan {
  readonly up: string
  readonly down: string
  readonly kind?: 'success' | 'completion'
  readonly name?: string
}

export interface GroupPlan {
  readonly down: string
  readonly policy: 'all' | 'any' | 'quorum'
  readonly k?: number
  readonly remaining?: 'cancel' | 'run'
  readonly impossible?: 'skip' | 'resume' | 'fail'
  readonly collect?: 'first' | 'all'
}

/** What one call adds to a flow: everything or nothing. */
export interface ApplyPlan {
  readonly nodes?: readonly NodePlan[]
  readonly edges?: readonly EdgePlan[]
  readonly groups?: readonly GroupPlan[]
  readonly seal?: readonly string[]
  /** Seals the flow: from now on it may end. */
  readonly finish?: boolean
}

export interface JoinPlan {
  readonly policy?: 'all' | 'any' | 'quorum'
  readonly k?: number
  readonly impossible?: 'resume' | 'fail'
  readonly collect?: 'first' | 'all'
}

/** What a caller asks for. */
export type FlowCall =
  | { readonly do: 'create'; readonly flow: FlowPlan }
  | { readonly do: 'apply'; readonly apply: ApplyPlan }
  | { readonly do: 'cancelFlow'; readonly policy: CancelPolicy }
  | { readonly do: 'replaySubgraph'; readonly node: string }
  | { readonly do: 'replay'; readonly node: string; readonly reopen?: boolean }
  /** A claim of the node's lane. */
  | { readonly do: 'start'; readonly node: string }
  /** Whoever holds the node gives it back, or adds to the flow. */
  | { readonly do: HolderVerb; readonly node: string }
  | { readonly do: 'wait'; readonly node: string; readonly join?: JoinPlan }
  | { readonly do: 'spawn'; readonly node: string; readonly apply: ApplyPlan }
  /** Operators. */
  | { readonly do: OperatorVerb; readonly node: string }

/** `fail` is final, `retry` a failure that is tried again, `cancel` a worker that gives up. */
export type HolderVerb = 'complete' | 'fail' | 'retry' | 'cancel' | 'delay' | 'suspend'
export type OperatorVerb = 'stop' | 'resume' | 'block' | 'unblock' | 'revoke'

export type FlowEvent =
  | FlowCall
  /** Time passes until something is due; a sweep does it. */
  | { readonly do: 'tick' }
  /** The reply of the last call was lost, so it is made again. */
  | { readonly do: 'again' }
  /** The caller crashed: what it knew is gone, and read again when it is needed. */
  | { readonly do: 'forget' }
  /**
   * From here on nobody works on what calls leave over, until somebody drains it. Whoever is rash
   * does not even look before doing what may then end in another way than it would have.
   */
  | { readonly do: 'pause'; readonly rash?: boolean }
  | { readonly do: 'drain' }

/** What a call answered: an outcome with the facts that matter, or `refused <code>`. */
export type Seen = string

/** All that may be observed of a flow. */
export interface FlowView {
  readonly state: FlowState
  readonly sealed: boolean
  /** Members per state; states without members are left out. */
  readonly counts: Readonly<Partial<Record<NodeState, number>>>
  /** Members that were cancelled because nobody needed them any more. */
  readonly spared: number
  readonly cancelPolicy: CancelPolicy | undefined
  readonly nodes: Readonly<Record<string, NodeState>>
  /** The active ones whose lease nobody took away, in order of their names. */
  readonly held: readonly string[]
}

/** Something that has flows: the oracle, or a store behind the names that plans use. */
export interface FlowSubject {
  call(call: FlowCall): Promise<Seen>
  /** Makes the last call once more, with the same arguments to the byte. */
  again(): Promise<Seen>
  /** Lets time pass and does what is due. */
  tick(ms: number): Promise<void>
  forget(): Promise<void>
  /** Works on everything that earlier calls have left over, until nothing is left. */
  drain(): Promise<void>
  look(): Promise<FlowView>
  state(node: string): Promise<NodeState | undefined>
}
