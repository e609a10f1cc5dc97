// Limits as an application sets them: how much work of a name runs at once, or begins in a time.
import { EngineError } from '../errors.ts'
import type { EngineBackend } from '../persistence/backend.ts'
import type { LimitSnapshot, LimitSummary } from '../persistence/limit-backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'

/** What a limit allows; without any bound it allows everything. */
export interface LimitOptions {
  /** How many attempts may run at once. */
  readonly concurrency?: number
  /** How many may begin within any window of that length. */
  readonly rate?: { readonly count: number; readonly window: Duration }
  /** Whether each fairness key is counted for itself. @defaultValue false: all work together */
  readonly perKey?: boolean
}

/** For how long nothing of a limit begins. */
export interface PauseOptions {
  /** One key of the limit. @defaultValue all of it */
  readonly key?: string
  /** From now on, by the server's clock: what a Retry-After says. */
  readonly for?: Duration
  /** Until this time, instead of `for`. */
  readonly until?: Date
}

const pageSize = 100

/** The limits of an engine's namespace. Get them from `engine.limits`. */
export class Limits {
  private readonly backend: EngineBackend

  /** @internal */
  constructor(backend: EngineBackend) {
    this.backend = backend
  }

  /**
   * Sets what a limit allows, for everybody and from now on: work that waits is let go as far as
   * there is room, and nothing that runs is stopped. Setting it again, as every process may when it
   * starts, changes nothing.
   *
   * @throws EngineError `invalid_input`.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * let running = 0
   * const call = task({
   *   name: 'call',
   *   limit: 'provider',
   *   async run() {
   *     running += 1
   *     const seen = running
   *     await new Promise((resolve) => setTimeout(resolve, 5))
   *     running -= 1
   *     return seen
   *   },
   * })
   * const engine = await openEngine()
   * await engine.limits.set('provider', { concurrency: 2 })
   * await engine.work([call], { concurrency: 10 })
   * const items = Array.from({ length: 6 }, () => ({ input: undefined }))
   * const seen = []
   * for (const item of await engine.submitMany(call, items)) {
   *   if (item.outcome !== 'refused') seen.push(await item.execution.result())
   * }
   * console.log(Math.max(...seen))
   * // 2
   * await engine.close()
   * ```
   */
  async set(name: string, { concurrency, rate, perKey }: LimitOptions): Promise<void> {
    const windowMs = rate && parseDurationMs(rate.window, 'rate.window')
    await this.backend.setLimit(name, {
      concurrency,
      rate: rate && windowMs !== undefined ? { count: rate.count, windowMs } : undefined,
      perKey,
    })
  }

  /** Forgets a limit: what waits for it goes on. Resolves with whether there was one. */
  async remove(name: string): Promise<boolean> {
    const { outcome } = await this.backend.removeLimit(name)
    return outcome === 'removed'
  }

  /**
   * Lets nothing of a limit begin for a while, as a provider asks that answers with a Retry-After.
   * What runs already goes on.
   *
   * @throws EngineError `limit_not_found`; `invalid_input` without a time.
   */
  async pause(name: string, { key, for: span, until }: PauseOptions): Promise<void> {
    if (span !== undefined) {
      await this.backend.pauseLimit(name, key, { forMs: parseDurationMs(span, 'for') })
      return
    }
    const untilMs = until?.getTime()
    if (untilMs === undefined || Number.isNaN(untilMs)) {
      throw new EngineError('invalid_input', 'a pause needs a time', {
        details: { argument: 'until' },
      })
    }
    await this.backend.pauseLimit(name, key, untilMs)
  }

  /** Ends a pause before its time. */
  async resume(name: string, { key }: { readonly key?: string } = {}): Promise<void> {
    await this.backend.pauseLimit(name, key, 0)
  }

  /** How a limit stands, or one key of it; undefined when nobody set it. */
  get(name: string, options: { readonly key?: string } = {}): Promise<LimitSnapshot | undefined> {
    return this.backend.describeLimit(name, options.key)
  }

  /** Every limit, sorted by name. */
  async *list(): AsyncIterableIterator<LimitSummary> {
    let cursor: string | undefined
    do {
      const page = await this.backend.listLimits(cursor, pageSize)
      yield* page.items
      cursor = page.nextCursor
    } while (cursor !== undefined)
  }
}
