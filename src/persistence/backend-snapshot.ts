// What readers of an execution get: everything small about it, and how it ended.
import type { ExecutionId, LaneId } from '../ids.ts'
import type { FailureClass } from '../limits.ts'
import type { PublicState } from '../machines/execution.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import type { CapabilitySet, ClaimedExecution, FailureReason } from './backend.ts'
import type { GroupSnapshot } from './backend-flow.ts'

/** An attempt that ended without ending the execution. */
export interface EndedAttempt {
  readonly attempt: number
  readonly type: ClaimedExecution['attemptType']
  readonly epoch: number
  readonly worker: string
  readonly startedAtMs: number
  readonly endedAtMs: number
  /** A failure class, `expired` or `revoked` for a lost lease, or how a replayed run had ended. */
  readonly how: string
}

/** What an execution waits for, or waited for last. */
export interface SuspensionSnapshot {
  readonly suspensionId: string
  readonly reason: string
  readonly suspendedAtMs: number
  readonly timeoutAtMs: number | undefined
  readonly onTimeout: string
  readonly pointer: string | undefined
  readonly signalCount: number
  readonly waitpointIds: readonly string[]
  readonly closedAtMs: number | undefined
  /** How it ended: `resumed`, `operator_resume`, `timed_out_fail`, `cancelled`, `expired`… */
  readonly closeReason: string | undefined
}

/** What an execution under a limit has of it. */
export interface LimitUse {
  readonly name: string
  /**
   * It waits for a slot, was admitted and can be claimed, holds a slot while it works, or has asked
   * for none.
   */
  readonly state: 'waiting' | 'admitted' | 'holding' | 'none'
  /** Whose slots these are, when the limit counts each key for itself. */
  readonly key: string | undefined
}

/** Everything small about one execution, read in one step. */
export interface ExecutionSnapshot {
  readonly executionId: ExecutionId
  readonly lane: LaneId
  readonly task: string
  readonly state: LeafName
  readonly publicState: PublicState
  readonly priority: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly endedAtMs: number | undefined
  readonly startsAtMs: number | undefined
  readonly deadlineAtMs: number | undefined
  readonly blockedBy: string | undefined
  /** Who keeps it back: `limit`, `budget` or `flow`. */
  readonly withheldBy: string | undefined
  /** Why it ended: a short word such as `failed`, `deadline`, `max_reclaims_exceeded`. */
  readonly reason: string | undefined
  readonly failureClass: FailureClass | undefined
  readonly totalAttempts: number
  readonly currentAttempt: { readonly attempt: number; readonly startedAtMs: number } | undefined
  readonly currentLease:
    | { readonly epoch: number; readonly worker: string; readonly expiresAtMs: number }
    | undefined
  readonly retries: number
  readonly reclaims: number
  readonly replays: number
  readonly progress: { readonly percent: number | undefined; readonly message: string | undefined }
  readonly capabilities: CapabilitySet
  readonly fairnessKey: string | undefined
  readonly limit: LimitUse | undefined
  /** Ids of its budgets, sorted. */
  readonly budgets: readonly string[]
  /** The flow that it belongs to, and how its inbound edges stand. */
  readonly flowId: ExecutionId | undefined
  readonly group: GroupSnapshot | undefined
  /** Whether it waits for its inbound edges: nothing starts or resumes it before they allow. */
  readonly gated: boolean
  /** Who reserved it for a moment. */
  readonly grant: { readonly worker: string; readonly untilMs: number } | undefined
  readonly tags: Readonly<Record<string, string>>
  readonly endedAttempts: readonly EndedAttempt[]
  /** The latest suspension. */
  readonly suspension: SuspensionSnapshot | undefined
}

/** How an execution ended, with its result or its failure. */
export type ExecutionEnding =
  | { readonly outcome: 'completed'; readonly result: Uint8Array | undefined }
  | {
      readonly outcome: 'failed'
      readonly reason: string
      readonly failureClass: FailureClass | undefined
      readonly failure: FailureReason | undefined
    }
  | { readonly outcome: 'cancelled'; readonly reason: string; readonly message: string }
  | { readonly outcome: 'expired'; readonly reason: string }
  | { readonly outcome: 'skipped'; readonly reason: string }

export type WatchOutcome =
  | { readonly outcome: 'pending'; readonly state: LeafName }
  | ExecutionEnding
