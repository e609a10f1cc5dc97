// Limits as a backend offers them: how much work of a name, or of each key of it, may run.
import type { Page } from './backend.ts'

/** What a limit allows; without any bound it allows everything. */
export interface LimitPolicy {
  /** How much work may be under a lease at once. */
  readonly concurrency?: number | undefined
  /** How much work may begin within any window of that length. */
  readonly rate?: { readonly count: number; readonly windowMs: number } | undefined
  /** Whether each fairness key is counted for itself. Default false: all work together. */
  readonly perKey?: boolean | undefined
}

export interface LimitSummary extends LimitPolicy {
  readonly name: string
  readonly perKey: boolean
}

/** How a limit, or one key of it, stands. */
export interface LimitSnapshot extends LimitSummary {
  readonly key: string | undefined
  /** Slots that are taken, those of admitted work that nobody has claimed yet included. */
  readonly active: number
  /** How much began within the window that ends now; 0 without a rate. */
  readonly started: number
  readonly waiting: number
  readonly pausedUntilMs: number | undefined
  /** When there is room again, where that is a matter of time alone. */
  readonly roomAtMs: number | undefined
}

export interface LimitBackend {
  /** Sets what a limit allows, from now on: whoever waits and has room now is admitted. */
  setLimit(name: string, policy: LimitPolicy): Promise<void>
  /** Forgets the limit: whoever waits for it goes on, and nothing is counted any more. */
  removeLimit(name: string): Promise<{ readonly outcome: 'removed' | 'absent' }>
  /**
   * Lets nothing of the limit, or of one key of it, begin before a time or for a while from now; 0
   * ends a pause. What runs already goes on.
   */
  pauseLimit(
    name: string,
    key: string | undefined,
    until: number | { readonly forMs: number },
  ): Promise<void>
  /** How the limit, or one key of it, stands; undefined when nobody set it. */
  describeLimit(name: string, key?: string): Promise<LimitSnapshot | undefined>
  /** Limits sorted by name, after the cursor. */
  listLimits(cursor: string | undefined, limit: number): Promise<Page<LimitSummary, string>>
}
