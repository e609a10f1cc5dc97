// The contract of a backend: the 28 operations of the engine, and what its ingress adds.
import type { EngineError } from '../errors.ts'
import type { ExecutionId, LaneId } from '../ids.ts'
import type { FailureClass, laneStates } from '../limits.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import type { BudgetBackend } from './backend-budget.ts'
import type { FlowIngress, FlowOperations } from './backend-flow.ts'
import type { ExecutionSnapshot, WatchOutcome } from './backend-snapshot.ts'
import type { SuspensionIngress, SuspensionOperations } from './backend-suspension.ts'
import type { CorruptRow } from './corruption.ts'
import type { FeedBackend } from './feed-backend.ts'
import type {
  AppendFrameOutcome,
  Frame,
  FramePage,
  FrameRange,
  StreamSummary,
  TailRequest,
} from './frames.ts'
import type { LimitBackend } from './limit-backend.ts'
import type { LossBackend, LostLease } from './loss-backend.ts'
import type { SearchBackend } from './search-backend.ts'
import type { Durability } from './store.ts'

export type * from './backend-budget.ts'
export type * from './backend-flow.ts'
export type * from './backend-snapshot.ts'
export type * from './backend-suspension.ts'

/** Number of one partition of the namespace, from 0. */
export type PartitionKey = number

/** What a worker can do; work is only claimed when all it requires is offered. */
export type CapabilitySet = readonly string[]

/**
 * Proof of a lease: which execution, which attempt, which lease. It is plain data and may be
 * stored or sent; only the backend that issued it can read it.
 */
export interface Handle {
  readonly backend: 'valkey' | 'embedded'
  /** How the lease came about: a new attempt, an interrupted one, or parked by a suspension. */
  readonly kind: 'fresh' | 'resumed' | 'suspended'
  readonly opaque: string
}

/** Work under a lease, with all that is needed to begin. */
export interface ClaimedExecution {
  readonly handle: Handle
  readonly executionId: ExecutionId
  /** Names this lease, for `revokeLease`. Whoever knows it and the epoch can act. */
  readonly leaseId: string
  readonly lane: LaneId
  readonly task: string
  readonly input: Uint8Array
  /** Index of the attempt, from 0, counted over retries, reclaims and replays. */
  readonly attempt: number
  readonly attemptType: 'initial' | 'retry' | 'reclaim' | 'replay'
  /** Fencing number: greater than that of every earlier lease of this execution. */
  readonly epoch: number
  readonly leaseMs: number
  readonly expiresAtMs: number
  readonly attemptDeadlineAtMs: number | undefined
  readonly createdAtMs: number
}

/** How to claim. */
export interface ClaimPolicy {
  /** Identity of the claiming process, 1 to 64 bytes. */
  readonly worker: string
  readonly leaseMs?: number | undefined
  /** How many executions at most. Default 1. */
  readonly count?: number | undefined
  /** How long to wait for work, in milliseconds. Default: one look, no wait. */
  readonly maxWaitMs?: number | undefined
  /** Which work to take. Default: all three kinds. */
  readonly kinds?: readonly ('fresh' | 'resumed' | 'reclaimable')[] | undefined
  /** The caller's own lease id makes the claim repeatable: the same id finds the same leases. */
  readonly leaseId?: string | undefined
  /** Ends the wait early. */
  readonly signal?: AbortSignal | undefined
}

export interface LeaseRenewal {
  readonly expiresAtMs: number
  readonly epoch: number
}

export type { FailureClass, LostLease }
export type LaneState = (typeof laneStates)[number]

export interface FailureReason {
  /** At most 2048 bytes. */
  readonly message: string
  /** More about it, at most 64 KiB. */
  readonly detail?: Uint8Array | undefined
}

/** Whether the answer was recorded by an earlier, equal call. */
interface Settled {
  readonly replayed: boolean
}

export type CompleteOutcome = Settled & { readonly outcome: 'completed' }
export type CancelOutcome = Settled & { readonly outcome: 'cancelled' }
export type DelayOutcome = Settled & { readonly outcome: 'delayed' }
export type FailOutcome = Settled &
  (
    | { readonly outcome: 'retry_scheduled'; readonly retryAtMs: number }
    | { readonly outcome: 'failed' }
  )

/** When and how often a failed attempt is tried again. */
export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly attempts: number
  readonly backoff?: 'fixed' | 'exponential' | undefined
  /** The first wait (with `fixed`, every wait). Default 1000. */
  readonly delayMs?: number | undefined
  /** The longest wait. Default 60,000. */
  readonly maxDelayMs?: number | undefined
  /** Growth per retry of an exponential backoff, with at most three decimals. Default 2. */
  readonly multiplier?: number | undefined
  /** Draw each wait evenly between nothing and the computed one. Default false. */
  readonly jitter?: boolean | undefined
  /** Which failures are retried. Default: transient and infra_crash. */
  readonly on?: readonly FailureClass[] | undefined
}

/** Work to accept. */
export interface Submission {
  readonly lane: LaneId
  /** Name of the task, 1 to 64 bytes. */
  readonly task: string
  /** At most 1 MiB; stored and returned byte for byte. */
  readonly input: Uint8Array
  /** The same key with the same submission answers with the same execution. */
  readonly idempotencyKey?: string | undefined
  /** Not before this long from now; wins over `startAtMs`. */
  readonly delayMs?: number | undefined
  readonly startAtMs?: number | undefined
  /** 0 to 9000; higher goes first within a partition, always. Default 0. */
  readonly priority?: number | undefined
  /** The execution expires this long from now; wins over `deadlineAtMs`. */
  readonly deadlineMs?: number | undefined
  readonly deadlineAtMs?: number | undefined
  /** How long one attempt may work; parked time does not count. */
  readonly attemptTimeoutMs?: number | undefined
  readonly retry?: RetryPolicy | undefined
  /** How long the ended execution is kept. Default one day. */
  readonly retentionMs?: number | 'forever' | undefined
  /** How often a lost lease may be reclaimed. Default 100. */
  readonly reclaimsMax?: number | undefined
  readonly capabilities?: CapabilitySet | undefined
  /** Ids of up to eight budgets; when one is used up, the work does as that budget says. */
  readonly budgets?: readonly string[] | undefined
  /** Name of a limit, a word: how much of such work runs at once, or begins within a time. */
  readonly limit?: string | undefined
  /**
   * For whom the work is, a word: a tenant, a customer. Keys take turns, whatever the backlog of
   * each, and a limit can count each of them for itself.
   */
  readonly fairnessKey?: string | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
}

export type SubmitOutcome =
  | { readonly outcome: 'submitted'; readonly executionId: ExecutionId }
  | { readonly outcome: 'duplicate'; readonly executionId: ExecutionId }

export type BulkSubmitOutcome =
  | SubmitOutcome
  | { readonly outcome: 'refused'; readonly error: EngineError }

export type { CorruptRow }

/** A page of a list whose rows are read from records. */
export interface RecordPage<Item, Cursor> extends Page<Item, Cursor> {
  /** Rows of this page that could not be read. */
  readonly corrupt: readonly CorruptRow[]
}

export interface Page<Item, Cursor> {
  readonly items: readonly Item[]
  /** Present when there is more after this page. */
  readonly nextCursor: Cursor | undefined
}

export interface LaneSummary {
  readonly lane: LaneId
  readonly state: LaneState
}

/** Reserves one execution for one worker for a short time. */
export interface Grant {
  readonly executionId: ExecutionId
  readonly lane: LaneId
  readonly grantId: string
  readonly worker: string
  readonly expiresAtMs: number
}

export interface GrantRequest {
  readonly worker: string
  readonly grantMs?: number | undefined
  readonly capabilities?: CapabilitySet | undefined
}

/** Uses a grant. */
export interface GrantedClaim {
  readonly grant: Grant
  readonly leaseMs?: number | undefined
  readonly leaseId?: string | undefined
}

export type RenewOutcome =
  | ({ readonly outcome: 'renewed' } & LeaseRenewal)
  | { readonly outcome: 'refused'; readonly error: EngineError }

export type RevokeOutcome =
  | { readonly outcome: 'revoked'; readonly epoch: number }
  | { readonly outcome: 'already_lost'; readonly state: LeafName }

export interface SweepOutcome {
  readonly promoted: number
  readonly purged: number
  /** How long until something is due, in milliseconds; undefined when nothing is. */
  readonly nextInMs: number | undefined
}

/** What a backend tells: see `Store`. */
export interface BackendNotice {
  readonly executionId: ExecutionId
}

/**
 * Everything an engine asks of its storage. Every operation that changes something is atomic, is
 * safe to repeat with the same arguments after any failure, and is decided by the server's clock
 * alone. Refusals are thrown as `EngineError`; a refusal has changed nothing, except that a lapsed
 * lease, deadline or grant that it noticed has taken effect.
 *
 * What an acknowledgement means depends on `durability`: under `memory` and `everysec` a crash of
 * the server, and under every mode a failover to an asynchronous replica, can lose acknowledged
 * writes. Fencing holds across such a loss; acknowledgement cannot.
 */
export interface EngineBackend
  extends IngressBackend,
    SuspensionOperations,
    FlowOperations,
    BudgetBackend {
  // ── Claim and lifecycle ──

  /** Claims work that waits in the lanes; empty when there is none (within `maxWaitMs`). */
  claim(
    lanes: LaneId | readonly LaneId[],
    capabilities: CapabilitySet,
    policy: ClaimPolicy,
  ): Promise<readonly ClaimedExecution[]>
  /** Extends a lease by its own length. Throws stale_lease, lease_expired or lease_revoked. */
  renew(handle: Handle): Promise<LeaseRenewal>
  /** Overwrites the attempt's progress; what is absent stays. Never touches the stream. */
  progress(handle: Handle, percent?: number, message?: string): Promise<void>
  /** Appends one frame to the attempt's stream. Without `seq` it is not safe to repeat. */
  appendFrame(handle: Handle, frame: Frame): Promise<AppendFrameOutcome>
  /** Ends the execution well. Replays return the first outcome. */
  complete(handle: Handle, payload?: Uint8Array): Promise<CompleteOutcome>
  /** Reports a failed attempt; tells whether a retry was scheduled. */
  fail(handle: Handle, reason: FailureReason, failureClass: FailureClass): Promise<FailOutcome>
  /** Ends the execution as cancelled, by the holder of its lease. */
  cancel(handle: Handle, reason: string): Promise<CancelOutcome>
  /** Claims work whose lease was lost, by its grant; undefined when that is too late. */
  claimFromReclaim(claim: GrantedClaim): Promise<ClaimedExecution | undefined>
  /** Parks the execution until a time, keeping its attempt; a time that has come hands it back. */
  delay(handle: Handle, untilMs: number): Promise<DelayOutcome>

  // ── Reading ──

  /** The execution, or undefined when there is none. Throws corruption instead of guessing. */
  describeExecution(id: ExecutionId): Promise<ExecutionSnapshot | undefined>
  /** Lanes sorted by name, after the cursor. */
  listLanes(cursor: LaneId | undefined, limit: number): Promise<RecordPage<LaneSummary, LaneId>>
  /** Execution ids of one partition in byte order, after the cursor; at most 1000 a page. */
  listExecutions(
    partition: PartitionKey,
    cursor: ExecutionId | undefined,
    limit: number,
  ): Promise<Page<ExecutionId, ExecutionId>>

  // ── Triggers, streams; for budgets see `BudgetBackend` ──

  /** Continues an interrupted attempt by its grant: same attempt, new lease, greater epoch. */
  claimResumedExecution(claim: GrantedClaim): Promise<ClaimedExecution>
  /** Kept frames by number. An attempt without a stream has none. */
  readStream(id: ExecutionId, attempt: number, range: FrameRange): Promise<FramePage>
  /** Frames after a cursor, waiting for the first; also the end of the attempt ends the wait. */
  tailStream(id: ExecutionId, attempt: number, request: TailRequest): Promise<FramePage>
}

/** What the 28 operations leave to the ingress: submitting, operating, maintaining. */
export interface IngressBackend
  extends SuspensionIngress,
    FlowIngress,
    FeedBackend,
    LimitBackend,
    LossBackend,
    SearchBackend {
  readonly kind: 'valkey' | 'embedded'
  readonly durability: Durability
  readonly partitions: readonly PartitionKey[]

  /** Accepts work, or answers with the execution that the same idempotency key made before. */
  submit(submission: Submission): Promise<SubmitOutcome>
  /** Accepts many at once; each has its own outcome, and none touches the others. */
  submitMany(submissions: readonly Submission[]): Promise<readonly BulkSubmitOutcome[]>
  /** Renews many leases at once; each has its own outcome. */
  renewMany(handles: readonly Handle[]): Promise<readonly RenewOutcome[]>

  /**
   * Reserves claimable work for one worker: interrupted work for `claimResumedExecution`; fresh
   * work is only held back from others. The same worker asking again gets the same grant.
   */
  issueClaimGrant(id: ExecutionId, request: GrantRequest): Promise<Grant>
  /** Reserves work whose lease was lost for one worker. */
  issueReclaimGrant(id: ExecutionId, request: GrantRequest): Promise<Grant>

  /** Ends any unfinished execution as cancelled. Cancelling twice is answered alike. */
  cancelExecution(id: ExecutionId, reason: string): Promise<CancelOutcome>
  /** Takes the lease away; the work becomes reclaimable. */
  revokeLease(id: ExecutionId, expectedLeaseId?: string): Promise<RevokeOutcome>
  changePriority(
    id: ExecutionId,
    priority: number,
  ): Promise<{ readonly from: number; readonly to: number }>
  /**
   * Runs an ended execution again; attempts and epochs go on counting. A member of a flow that has
   * ended only with `reopen`.
   */
  replayExecution(
    id: ExecutionId,
    replayId?: string,
    options?: { readonly reopen?: boolean },
  ): Promise<{ readonly replays: number }>
  /** Holds work back until it is unblocked for the same reason. */
  blockExecution(id: ExecutionId, reason: string): Promise<void>
  unblockExecution(id: ExecutionId, reason: string): Promise<void>
  /** Forgets an ended execution before its retention is over. */
  purgeExecution(id: ExecutionId): Promise<{ readonly outcome: 'purged' | 'absent' }>
  pauseLane(lane: LaneId): Promise<void>
  resumeLane(lane: LaneId): Promise<void>
  drainLane(lane: LaneId): Promise<void>

  /** The attempt's rolling document, or undefined when it has none. */
  readSummary(id: ExecutionId, attempt: number): Promise<StreamSummary | undefined>

  /** How the execution ended, or that it has not yet; then its ending will be told to `onEnded`. */
  watch(id: ExecutionId): Promise<WatchOutcome>
  /** Calls `listener` with each watched execution that ends, and with undefined after a gap. */
  onEnded(listener: (id: ExecutionId | undefined) => void): Promise<() => void>
  /** Does what is due and nobody claims, at most `count` of each kind. Safe at any time. */
  sweep(partition: PartitionKey, count?: number): Promise<SweepOutcome>
  close(): Promise<void>
}
