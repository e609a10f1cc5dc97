// Budgets as a backend offers them: what may be used, what was, and how executions report it.
import type { ExecutionId } from '../ids.ts'
import type { hardLimitActions, usageModes } from '../limits.ts'
import type { Handle, Page } from './backend.ts'

/** 1 to 64 letters, digits, `_`, `.` or `-`. */
export type BudgetId = string

export type HardLimitAction = (typeof hardLimitActions)[number]

/** Whole numbers by dimension, in whatever unit: tokens, micro-dollars, requests. */
export type UsageAmounts = Readonly<Record<string, number>>

/** The limits of one dimension; without one it is only counted. Being at a limit is allowed. */
export interface DimensionLimits {
  /** Not to be passed. */
  readonly hard?: number | undefined
  /** Worth a warning; at most as much as the hard limit. */
  readonly soft?: number | undefined
}

/** A budget to create. */
export interface BudgetSpec {
  /** By which work and reports name it. @defaultValue a new one */
  readonly id?: BudgetId | undefined
  /** At most 64; words of 1 to 64 bytes. Others are counted too. */
  readonly dimensions: Readonly<Record<string, DimensionLimits>>
  /** What a reached hard limit does, beside being told. @defaultValue 'warn' */
  readonly onHardLimit?: HardLimitAction | undefined
  /** A word that says whom it is for, such as `tenant:acme`; the engine does not read it. */
  readonly scope?: string | undefined
  /** Begins anew each time so long after it was created. @defaultValue never */
  readonly resetEveryMs?: number | undefined
}

export interface CreateBudgetOutcome {
  /** `already_exists` when one was created alike before; what was changed since stays. */
  readonly outcome: 'created' | 'already_exists'
  readonly budgetId: BudgetId
}

/** What to change of a budget; what is absent stays. */
export interface BudgetChange {
  /** Replaces both limits of each dimension that is named; `{}` takes them away. */
  readonly dimensions?: Readonly<Record<string, DimensionLimits>> | undefined
  readonly onHardLimit?: HardLimitAction | undefined
}

/** One dimension of a budget as it stands. */
export interface DimensionStatus extends DimensionLimits {
  readonly dimension: string
  readonly hard: number | undefined
  readonly soft: number | undefined
  readonly used: number
  readonly reserved: number
  /** What may still be used or reserved; undefined without a hard limit. */
  readonly remaining: number | undefined
}

export interface BudgetStatus {
  readonly budgetId: BudgetId
  readonly scope: string | undefined
  readonly onHardLimit: HardLimitAction
  /** By name. */
  readonly dimensions: readonly DimensionStatus[]
  /** Whether something is used up: its use has reached a hard limit. */
  readonly exhausted: boolean
  /** Reports that passed a hard or a soft limit, since the last reset. */
  readonly breaches: number
  readonly softBreaches: number
  readonly lastBreach: { readonly dimension: string; readonly atMs: number } | undefined
  /** Open reservations. */
  readonly reservations: number
  /** Counts resets, from 1. */
  readonly generation: number
  readonly createdAtMs: number
  readonly lastResetAtMs: number | undefined
  readonly nextResetAtMs: number | undefined
  readonly resetEveryMs: number | undefined
}

/** What an attempt used. All of it counts; dimensions that come twice are added up. */
export interface UsageDimensions {
  /** Counted as `input_tokens`. */
  readonly inputTokens?: number | undefined
  /** Counted as `output_tokens`. */
  readonly outputTokens?: number | undefined
  /** Counted as `wall_ms`. */
  readonly wallMs?: number | undefined
  readonly custom?: UsageAmounts | undefined
  /** The same key again, in any attempt, is the same report. Default: each call is a new one. */
  readonly dedupKey?: string | undefined
  /**
   * `record` counts what was used whatever the limits, because it was used; `enforce` counts all,
   * or nothing where that would pass a hard limit. Default `record`.
   */
  readonly mode?: (typeof usageModes)[number] | undefined
  /** The reservation that this report settles. */
  readonly reservationId?: string | undefined
}

/** What came of a report. A breach is an answer, not an error: it is for the worker to act on. */
export type UsageResult =
  | { readonly outcome: 'ok' }
  /** All was counted, and a soft limit is passed now. */
  | {
      readonly outcome: 'soft_breach'
      readonly dimension: string
      readonly currentUsage: number
      readonly limit: number
    }
  /** A hard limit is passed (`record`: `counted`), or would be (`enforce`: nothing was counted). */
  | {
      readonly outcome: 'hard_breach'
      readonly dimension: string
      readonly currentUsage: number
      readonly limit: number
      readonly counted: boolean
    }

export type ReportUsageOutcome =
  | UsageResult
  /** The same key was reported before; nothing was counted now. */
  | { readonly outcome: 'already_applied'; readonly first: UsageResult }

export interface ReservationRequest {
  /** What will be used at most, by dimension. */
  readonly amounts: UsageAmounts
  /** How long it is held unless a report settles it: up to a day. Default one minute. */
  readonly ttlMs?: number | undefined
  /** The same key again, while it is held, is the same reservation. */
  readonly dedupKey?: string | undefined
}

export type ReserveOutcome =
  | {
      readonly outcome: 'reserved'
      readonly reservationId: string
      readonly expiresAtMs: number
      readonly replayed: boolean
    }
  | {
      readonly outcome: 'hard_breach'
      readonly dimension: string
      readonly currentUsage: number
      readonly limit: number
    }

/** What one attempt used of one budget, over all generations and whatever was released. */
export interface AttemptUsage {
  readonly budgetId: BudgetId
  readonly attempt: number
  readonly amounts: UsageAmounts
}

/** What an execution used. */
export interface ExecutionUsage {
  readonly attempts: readonly AttemptUsage[]
  /** Reports that are on their way to their budgets. */
  readonly unsettled: number
}

export interface BudgetBackend {
  /**
   * Tells what an attempt used of a budget. Once the promise resolves it is counted; a report that
   * was logged is counted even when the caller or a server dies before that, once.
   *
   * @throws EngineError `budget_not_found`; `budget_overflow`; `usage_log_full`; as `renew` when
   * the lease is lost.
   */
  reportUsage(
    handle: Handle,
    budget: BudgetId,
    dimensions: UsageDimensions,
  ): Promise<ReportUsageOutcome>
  /** Holds a part of a budget for work to come. Settle it by a report with its id. */
  reserveUsage(
    handle: Handle,
    budget: BudgetId,
    request: ReservationRequest,
  ): Promise<ReserveOutcome>
  /** Throws `budget_conflict` when there is one of that id that was created with other limits. */
  createBudget(spec: BudgetSpec): Promise<CreateBudgetOutcome>
  describeBudget(id: BudgetId): Promise<BudgetStatus | undefined>
  /** Pages through all budgets, in an order that stays while budgets come and go. */
  listBudgets(cursor: string | undefined, limit: number): Promise<Page<BudgetStatus, string>>
  changeBudget(id: BudgetId, change: BudgetChange): Promise<BudgetStatus>
  /** Begins a new generation now; the schedule stays. The same `resetId` again resets once. */
  resetBudget(
    id: BudgetId,
    resetId?: string,
  ): Promise<{ readonly generation: number; readonly nextResetAtMs: number | undefined }>
  removeBudget(id: BudgetId): Promise<{ readonly outcome: 'removed' | 'absent' }>
  /**
   * Takes back what an execution used of a budget since the last reset, and tells how much: nothing
   * once its last report to the budget is too old to be known, after one to two weeks.
   */
  releaseUsage(budget: BudgetId, id: ExecutionId): Promise<UsageAmounts>
  describeUsage(id: ExecutionId): Promise<ExecutionUsage>
}
