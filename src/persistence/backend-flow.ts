// Flows as backends offer them: graphs of executions, their edges, groups, cancelling and replay.
import type { ExecutionId } from '../ids.ts'
import type { Choice } from '../limits.ts'
import type { PublicState } from '../machines/execution.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import type { Handle, Page, PartitionKey, RecordPage, Submission } from './backend.ts'

/** Identity of a flow: `<partition>-<26 characters>`, like that of an execution. */
export type FlowId = string

/** Identity of an edge in its flow: both ends, `<upstream>.<downstream>`. */
export type EdgeId = string

export type FlowState = 'open' | 'completed' | 'failed' | 'cancelled'

/** What a failing member means for its flow: nothing until all have ended, or the end at once. */
export type FailurePolicy = Choice<'flow_failure'>
/** Whose ending decides: that of all members, or that of the root. */
export type CompletionPolicy = Choice<'flow_completion'>
export type CancelFlowPolicy = Choice<'cancel_policy'>

/** A flow to begin. */
export interface FlowSpec {
  /** An id of `flowId`, or of `memberId` for what follows from another id. Default: a new one. */
  readonly flowId?: FlowId | undefined
  /** What kind of flow it is, a word of the caller's. */
  readonly kind: string
  /** The same key with the same spec answers with the same flow. */
  readonly idempotencyKey?: string | undefined
  readonly failure?: FailurePolicy | undefined
  readonly completion?: CompletionPolicy | undefined
  /** The member whose ending decides, for `completion: 'root'`; it is never cancelled as spare. */
  readonly root?: ExecutionId | undefined
  readonly retentionMs?: number | 'forever' | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
}

export interface CreateFlowOutcome {
  readonly outcome: 'created' | 'exists'
  readonly flowId: FlowId
}

/** Work that becomes a member of a flow. Its idempotency follows from `id`. */
export interface FlowMember extends Omit<Submission, 'idempotencyKey'> {
  readonly id: ExecutionId
  /** Wait, and accept more inbound edges, until it is sealed. Default false. */
  readonly hold?: boolean | undefined
}

/** A dependency: the downstream waits for the upstream. */
export interface FlowEdge {
  readonly upstream: ExecutionId
  readonly downstream: ExecutionId
  /** What satisfies it: that the upstream completes, or that it ends in any way. */
  readonly kind?: Choice<'edge_kind'> | undefined
  /** Under which name the downstream finds the upstream's result among its inputs. */
  readonly name?: string | undefined
}

/** How the inbound edges of an execution are joined. */
export interface Join {
  readonly policy: Choice<'join_policy'>
  /** How many must be satisfied, for a quorum. */
  readonly k?: number | undefined
  /**
   * What becomes of upstreams that are not needed any more. Default: they run on. They do in any
   * case when an execution that has begun waits again.
   */
  readonly remaining?: Choice<'join_remaining'> | undefined
  /** What happens when it can no longer be satisfied. Default: skip what has not started. */
  readonly impossible?: Choice<'join_impossible'> | undefined
  /** Whether the first failure decides, or only the last ending. */
  readonly collect?: Choice<'join_collect'> | undefined
}

export interface GraphChange {
  readonly members?: readonly FlowMember[] | undefined
  readonly edges?: readonly FlowEdge[] | undefined
  readonly joins?: readonly (Join & { readonly downstream: ExecutionId })[] | undefined
  /** Held members that get no more edges. */
  readonly seal?: readonly ExecutionId[] | undefined
  /** The flow may end once all its members have. Running members can still add to it. */
  readonly finish?: boolean | undefined
  /** The running parent that adds work under its lease; it may then wait for it. */
  readonly parent?: Handle | undefined
}

export interface GraphOutcome {
  readonly outcome: 'applied'
  /** How many members and edges were not there before. */
  readonly added: number
  readonly linked: number
  readonly members: number
  readonly revision: number
  readonly state: FlowState
}

/** Where a parent stands after asking to wait. */
export interface WaitChildrenOutcome {
  readonly outcome: 'waiting'
  readonly state: LeafName
  readonly replayed: boolean
}

export interface FlowSnapshot {
  readonly flowId: FlowId
  readonly kind: string
  readonly state: FlowState
  /** Like the state; an open flow is running while a member is active, blocked when none can. */
  readonly publicState: FlowState | 'running' | 'blocked'
  readonly failure: FailurePolicy
  readonly completion: CompletionPolicy
  readonly root: ExecutionId | undefined
  /** Whether it ends once all its members have. */
  readonly sealed: boolean
  readonly revision: number
  readonly members: number
  readonly edges: number
  /** How many members are in each public state, exactly. */
  readonly counts: Readonly<Record<Exclude<PublicState, 'absent'>, number>>
  readonly unfinished: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly endedAtMs: number | undefined
  readonly reason: string | undefined
  readonly cancelPolicy: CancelFlowPolicy | undefined
  /** Whether members are still being cancelled. */
  readonly cancelling: boolean
  readonly tags: Readonly<Record<string, string>>
}

export interface FlowSummary {
  readonly flowId: FlowId
  readonly createdAtMs: number
  readonly state: FlowState
}

/** How the inbound edges of a member stand. */
export interface GroupSnapshot {
  readonly policy: Choice<'join_policy'>
  readonly k: number | undefined
  readonly remaining: Choice<'join_remaining'> | undefined
  readonly impossible: Choice<'join_impossible'> | undefined
  readonly collect: Choice<'join_collect'> | undefined
  readonly state: 'pending' | 'satisfied' | 'impossible' | 'closed'
  readonly sealed: boolean
  readonly total: number
  readonly satisfied: number
  readonly failed: number
  readonly skipped: number
}

export interface FlowMemberSummary {
  readonly executionId: ExecutionId
  readonly task: string
  readonly state: LeafName
  readonly publicState: PublicState
  readonly group: GroupSnapshot | undefined
}

export interface EdgeSnapshot {
  readonly edgeId: EdgeId
  readonly flowId: FlowId
  readonly upstream: ExecutionId
  readonly downstream: ExecutionId
  readonly kind: Choice<'edge_kind'>
  readonly state: 'pending' | 'satisfied' | 'failed' | 'skipped'
  readonly name: string | undefined
  readonly createdAtMs: number
}

export type EdgeDirection = { readonly incoming: ExecutionId } | { readonly outgoing: ExecutionId }

/** How long to wait until every member that the policy dooms has ended. */
export type CancelFlowWait = 'no_wait' | 'indefinite' | { readonly timeoutMs: number }

export type CancelFlowOutcome =
  | {
      /** `scheduled` while members are still being cancelled; somebody will finish that. */
      readonly outcome: 'cancelled' | 'scheduled'
      /** The policy in force: an earlier one may have been wider. */
      readonly policy: CancelFlowPolicy
      /** Members that have not ended: under a narrower policy they may run on, or lie still. */
      readonly unfinished: number
      readonly replayed: boolean
    }
  | { readonly outcome: 'already_ended'; readonly state: FlowState }

/** What an upstream came to. */
export interface UpstreamResult {
  readonly executionId: ExecutionId
  readonly name: string | undefined
  readonly task: string
  readonly publicState: PublicState
  readonly reason: string | undefined
  /** The result of a completed one; else what is stored of its failure. */
  readonly ending: Uint8Array | undefined
}

/** The operations of the contract that are about flows. */
export interface FlowOperations {
  /**
   * Parks a running parent until its children have ended; resumes it at once when they have. A
   * later wait counts only children that end from then on: `seen` is how many of them the parent
   * saw ended, and when it is more by now, it is resumed at once, to look again. Once it has added
   * children, what the parent itself came after has no say.
   */
  waitChildren(handle: Handle, join?: Join, seen?: number): Promise<WaitChildrenOutcome>
  /** The flow, or undefined when there is none. */
  describeFlow(id: FlowId): Promise<FlowSnapshot | undefined>
  /** Every edge on one side of an execution, in the order in which they were made. */
  listEdges(flowId: FlowId, direction: EdgeDirection): Promise<readonly EdgeSnapshot[]>
  describeEdge(flowId: FlowId, edgeId: EdgeId): Promise<EdgeSnapshot | undefined>
  /** The flow of an execution, or undefined when it has none or is unknown. */
  resolveExecutionFlowId(id: ExecutionId): Promise<FlowId | undefined>
  /** Flows of one partition in the order of their ids, after the cursor; `corrupt` beside them. */
  listFlows(
    partition: PartitionKey,
    cursor: FlowId | undefined,
    limit: number,
  ): Promise<RecordPage<FlowSummary, FlowId>>
  /** Ends a flow as cancelled. A wider policy may follow; a narrower one changes nothing. */
  cancelFlow(
    id: FlowId,
    policy: CancelFlowPolicy,
    wait: CancelFlowWait,
    reason?: string,
  ): Promise<CancelFlowOutcome>
}

export interface DrainOptions {
  /** How much to take up at most. */
  readonly count?: number | undefined
  /** Takes up what is stuck too, once what kept it has been mended. */
  readonly again?: boolean | undefined
}

export interface Drained {
  readonly done: number
  /** What can be done next. */
  readonly left: number
  /** What met a damaged record: it waits for an operator, and holds nothing else up. */
  readonly stuck: number
  /** Why the latest of these is stuck: the record's key, the field, and what is wrong with it. */
  readonly why: string | undefined
}

/** What else there is to do with flows. */
export interface FlowIngress {
  /** An id for a flow that is to be created: a new one, or that of the idempotency key. */
  flowId(idempotencyKey?: string): FlowId
  /** Begins a flow with its first change, all or nothing; one that is there gets the change. */
  createFlow(spec: FlowSpec, change?: GraphChange): Promise<CreateFlowOutcome>
  /** An id for a member that is to be added to the flow: by a name that is unique in it. */
  memberId(flowId: FlowId, name: string): ExecutionId
  /** Throws `invalid_input` unless the change can be applied, as far as it alone tells. */
  checkGraph(flowId: FlowId, change: GraphChange): void
  /** Adds members, edges and seals, all or nothing; what is there already stays as it is. */
  applyGraph(flowId: FlowId, change: GraphChange): Promise<GraphOutcome>
  /** Members in the order of their ids, after the cursor, with how their inbound edges stand. */
  listMembers(
    flowId: FlowId,
    cursor: ExecutionId | undefined,
    limit: number,
  ): Promise<Page<FlowMemberSummary, ExecutionId>>
  /** What the upstreams of an execution came to, from a position on. */
  readInputs(id: ExecutionId, after: number, limit: number): Promise<Page<UpstreamResult, number>>
  /** Replays an ended member with all that was given up because of it; reopens its flow. */
  replaySubgraph(id: ExecutionId, replayId?: string): Promise<{ readonly replays: number }>
  /** Forgets an ended flow with all its members. */
  purgeFlow(id: FlowId): Promise<{ readonly outcome: 'purged' | 'absent' }>
  /** Does work that was left for later in a partition. */
  drain(partition: PartitionKey, options?: DrainOptions): Promise<Drained>
  /** Calls `listener` with each partition that has work left, and with undefined after a gap. */
  onBacklog(listener: (partition: PartitionKey | undefined) => void): Promise<() => void>
}
