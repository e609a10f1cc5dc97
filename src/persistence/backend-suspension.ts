// The part of a backend's contract that is about suspending, waitpoints and signals.
import type { ExecutionId } from '../ids.ts'
import type { timeoutBehaviours } from '../limits.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import type { Handle, PartitionKey, RecordPage } from './backend.ts'
import type { ResumeCondition, SignalMatcher, SignalSource } from './condition.ts'

export type { ResumeCondition, SignalMatcher, SignalSource }

/** What happens when a suspension's time is over. */
export type TimeoutBehaviour = (typeof timeoutBehaviours)[number]

/** Why an execution is suspended: one of these words, or one of the application's own. */
export type SuspensionReason =
  | 'waiting_for_signal'
  | 'waiting_for_approval'
  | 'waiting_for_callback'
  | 'waiting_for_tool_result'
  | 'waiting_for_operator_review'
  | (string & {})

/** One waitpoint of a suspension: a new one by its key, or an issued one by its token. */
export type WaitpointSpec =
  | {
      /** One word, unique among the waitpoints of the suspension. */
      readonly key: string
      /** Which signals count; not together with a condition. Default: any. */
      readonly match?: SignalMatcher | undefined
    }
  | {
      readonly token: string
      /** What a condition calls it. Default: its waitpoint id. */
      readonly key?: string | undefined
      readonly match?: SignalMatcher | undefined
    }

export interface SuspendOptions {
  /** When to go on. Default: when any of the waitpoints got a signal that it matches. */
  readonly condition?: ResumeCondition | undefined
  /** How long to wait; wins over `timeoutAtMs`. Default: for ever. */
  readonly timeoutMs?: number | undefined
  readonly timeoutAtMs?: number | undefined
  /** Default: `fail`. */
  readonly onTimeout?: TimeoutBehaviour | undefined
  readonly reason?: SuspensionReason | undefined
  readonly requestedBy?: string | undefined
  /** How long the execution rests between its resumption and its next claim. */
  readonly resumeDelayMs?: number | undefined
  /** Opaque text for the worker that goes on, at most 2048 bytes. */
  readonly pointer?: string | undefined
}

/** A waitpoint with the credential that lets an outsider signal it. */
export interface IssuedWaitpoint {
  readonly waitpointId: string
  readonly key: string
  /** Whoever has it may signal this waitpoint, and nothing else. */
  readonly token: string
}

export interface PendingWaitpoint extends IssuedWaitpoint {
  readonly expiresAtMs: number | undefined
  readonly replayed: boolean
}

/** An accepted signal. */
export interface Signal {
  /** Place among the accepted signals of the execution, from 1. */
  readonly position: number
  readonly signalId: string
  readonly waitpointId: string
  readonly name: string
  readonly category: string
  readonly source: SignalSource
  readonly identity: string
  readonly correlationId: string
  readonly idempotencyKey: string | undefined
  readonly encoding: string
  readonly acceptedAtMs: number
  /** What the sender said; decides nothing. */
  readonly createdAtMs: number | undefined
  readonly effect: SignalEffect
  readonly payload: Uint8Array | undefined
}

/** What an accepted signal did. */
export type SignalEffect =
  | 'resume_condition_satisfied'
  | 'appended_to_waitpoint'
  | 'appended_to_waitpoint_duplicate'
  | 'signal_ignored_matcher_failed'
  | 'signal_ignored_not_in_condition'
  | 'buffered_for_pending_waitpoint'
  | 'no_op_waitpoint_never_activated'

export type SuspendOutcome =
  | {
      readonly outcome: 'suspended'
      readonly handle: Handle
      readonly suspensionId: string
      readonly waitpoints: readonly IssuedWaitpoint[]
      readonly timeoutAtMs: number | undefined
      readonly replayed: boolean
    }
  /** The signals had come already: the lease is still held, and the worker goes on. */
  | {
      readonly outcome: 'already_satisfied'
      readonly suspensionId: string
      readonly signals: readonly Signal[]
      readonly replayed: boolean
    }

export interface CreateWaitpointOptions {
  /**
   * `attempt`: it ends with the attempt. `run`: it outlives retries and reclaims, and ends with
   * the execution or its replay. Default `attempt`.
   */
  readonly scope?: 'attempt' | 'run' | undefined
  /** The caller's own id, 22 characters of base64url, makes the call repeatable. */
  readonly waitpointId?: string | undefined
}

/** A signal to deliver. Only the token is needed. */
export interface SignalDelivery {
  readonly token: string
  /** Checked against the token when given. */
  readonly executionId?: ExecutionId | undefined
  readonly waitpointId?: string | undefined
  /** The sender's own id, 22 characters of base64url. */
  readonly signalId?: string | undefined
  /** One word. Default: the waitpoint's key. */
  readonly name?: string | undefined
  /** One word but `timeout`, which is the engine's own. Default `custom`. */
  readonly category?: string | undefined
  /** One word but `engine`. Default `external_api`. */
  readonly source?: SignalSource | undefined
  /** Who sends, at most 256 bytes. */
  readonly identity?: string | undefined
  readonly correlationId?: string | undefined
  /** The same key at the same waitpoint is accepted once, also after the waitpoint closed. */
  readonly idempotencyKey?: string | undefined
  /** One word. Default `binary`. */
  readonly encoding?: string | undefined
  readonly createdAtMs?: number | undefined
  /** At most 64 KiB, kept byte for byte. */
  readonly payload?: Uint8Array | undefined
}

export type DeliverOutcome =
  | { readonly outcome: 'accepted'; readonly signalId: string; readonly effect: SignalEffect }
  | { readonly outcome: 'duplicate'; readonly signalId: string; readonly effect: SignalEffect }

/** A waitpoint as readers see it: never its token. */
export interface WaitpointSummary {
  readonly waitpointId: string
  readonly key: string
  readonly state: 'pending' | 'active' | 'closed' | 'expired'
  readonly scope: 'attempt' | 'run'
  readonly attempt: number
  /** Whether it belongs to the current run of the execution: replays begin a new one. */
  readonly isCurrent: boolean
  readonly suspensionId: string | undefined
  readonly createdAtMs: number
  readonly expiresAtMs: number | undefined
  readonly closedAtMs: number | undefined
  readonly closeReason: string | undefined
  readonly signalCount: number
  readonly lastSignalAtMs: number | undefined
  readonly keyId: string
  /** How to speak of its token; undefined once its signing key is gone. */
  readonly tokenFingerprint: string | undefined
  /** Signals that counted, when they were asked for. */
  readonly signals: readonly Signal[]
}

export interface SuspendedExecution {
  readonly executionId: ExecutionId
  readonly reason: SuspensionReason
  readonly suspendedAtMs: number
  readonly timeoutAtMs: number | undefined
}

/** What senders of signals may do in a partition. */
export interface SignalPolicy {
  readonly signalsPerExecution: number
  readonly signalsPerSuspension: number
  /** Of one sender to one execution, within each window. */
  readonly signalsPerSender: number
  readonly senderWindowMs: number
}

/** The suspension part of the 28 operations. */
export interface SuspensionOperations {
  /**
   * Gives the lease back until the condition on the waitpoints is met, or answers
   * `already_satisfied` and leaves the lease held when early signals met it. The same call again
   * is answered alike.
   */
  suspend(
    handle: Handle,
    waitpoints: readonly WaitpointSpec[],
    options?: SuspendOptions,
  ): Promise<SuspendOutcome>
  /** Issues a waitpoint now: signals that come before its suspension are kept for it. */
  createWaitpoint(
    handle: Handle,
    key: string,
    expiresInMs?: number,
    options?: CreateWaitpointOptions,
  ): Promise<PendingWaitpoint>
  /** The signals that resumed the handle's attempt, in the order of their acceptance. */
  observeSignals(handle: Handle): Promise<readonly Signal[]>
  /** Suspended executions by deadline, then by id; pages stay in step while rows leave. */
  listSuspended(
    partition: PartitionKey,
    cursor: string | undefined,
    limit: number,
  ): Promise<RecordPage<SuspendedExecution, string>>
  /**
   * Accepts a signal: stored before the answer, kept for a suspension to come, or offered to the
   * condition at once. Throws `missing_token`, `invalid_token`, `token_expired`,
   * `waitpoint_closed`, `target_not_signalable`, `signal_limit_exceeded`, `signal_rate_limited`,
   * `payload_too_large`.
   */
  deliverSignal(delivery: SignalDelivery): Promise<DeliverOutcome>
}

/** What the 28 operations leave to operators. */
export interface SuspensionIngress {
  /** Closes an issued waitpoint that no suspension needs. */
  closeWaitpoint(
    handle: Handle,
    waitpointId: string,
    reason?: string,
  ): Promise<{ readonly outcome: 'closed'; readonly replayed: boolean }>
  /** Every waitpoint of an execution by id, after the cursor; at most 1000 a page. */
  listWaitpoints(
    id: ExecutionId,
    options?: {
      readonly cursor?: string | undefined
      readonly limit?: number | undefined
      readonly withSignals?: boolean | undefined
    },
  ): Promise<RecordPage<WaitpointSummary, string>>
  /** Accepted signals of an execution after a position, in the order of their acceptance. */
  listSignals(id: ExecutionId, after: number, limit: number): Promise<RecordPage<Signal, number>>
  /**
   * The token of a waitpoint, for those who may operate the engine: the one that it was issued with
   * while that one's key counts, else one that is signed with the current key.
   */
  waitpointToken(id: ExecutionId, waitpointId: string): Promise<string>
  /** The tokens of several waitpoints, in their order, by one look at the execution. */
  waitpointTokens(id: ExecutionId, waitpointIds: readonly string[]): Promise<readonly string[]>
  /** Resumes a suspended execution whatever its condition. */
  resumeExecution(
    id: ExecutionId,
    options?: { readonly delayMs?: number | undefined; readonly resumeId?: string | undefined },
  ): Promise<{ readonly state: LeafName; readonly replayed: boolean }>
  /**
   * Signs new tokens with another key. Tokens of the key before it count for `graceMs` more,
   * through any number of rotations. Throws `invalid_secret` below 32 bytes, and
   * `rotation_conflict` when the id stands for another key.
   */
  rotateSecret(
    kid: string,
    secret: string | Uint8Array,
    graceMs?: number,
  ): Promise<{ readonly replayed: boolean }>
  /** Sets what senders may do; what is absent stays. */
  allowSignals(policy: Partial<SignalPolicy>): Promise<SignalPolicy>
}
