// Budgets as an application holds them: what work may use, and what it used.
import type { ExecutionId } from '../ids.ts'
import type {
  BudgetChange,
  BudgetId,
  BudgetSpec,
  BudgetStatus,
  CreateBudgetOutcome,
  EngineBackend,
  UsageAmounts,
} from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'

type BudgetsBackend = Pick<
  EngineBackend,
  | 'createBudget'
  | 'describeBudget'
  | 'listBudgets'
  | 'changeBudget'
  | 'resetBudget'
  | 'removeBudget'
  | 'releaseUsage'
>

/** A budget to create. */
export interface BudgetOptions extends Omit<BudgetSpec, 'resetEveryMs'> {
  /** Begins anew each time so long after it was created. @defaultValue never */
  readonly resetEvery?: Duration
}

const pageSize = 100

/** The budgets of an engine; get them from `engine.budgets`. */
export class Budgets {
  private readonly backend: BudgetsBackend

  /** @internal */
  constructor(backend: BudgetsBackend) {
    this.backend = backend
  }

  /**
   * Creates a budget, or finds the one that was created alike under its id.
   *
   * @throws EngineError `budget_conflict` when there is another one under the id; `invalid_input`.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * const engine = await openEngine()
   * await engine.budgets.create({ id: 'acme', dimensions: { tokens: { hard: 1000, soft: 800 } } })
   * const ask = task({
   *   name: 'ask',
   *   async run(context, question: string) {
   *     const answer = `You asked: ${question}`
   *     const { outcome } = await context.usage('acme', { tokens: 900 })
   *     return `${answer} (${outcome})`
   *   },
   * })
   * await engine.work([ask])
   * const execution = await engine.submit(ask, 'why?')
   * console.log(await execution.result())
   * // You asked: why? (soft_breach)
   * const budget = await engine.budgets.get('acme')
   * console.log(budget?.dimensions[0]?.remaining)
   * // 100
   * await engine.close()
   * ```
   */
  async create({ resetEvery, ...spec }: BudgetOptions): Promise<CreateBudgetOutcome> {
    const resetEveryMs =
      resetEvery === undefined ? undefined : parseDurationMs(resetEvery, 'resetEvery')
    return this.backend.createBudget({ ...spec, resetEveryMs })
  }

  /** A budget as it stands, or undefined when there is none. */
  get(id: BudgetId): Promise<BudgetStatus | undefined> {
    return this.backend.describeBudget(id)
  }

  /** All budgets, page by page; those that stay while others come and go are all there, once. */
  async *list(): AsyncGenerator<BudgetStatus, void, undefined> {
    let cursor: string | undefined
    do {
      const page = await this.backend.listBudgets(cursor, pageSize)
      yield* page.items
      cursor = page.nextCursor
    } while (cursor !== undefined)
  }

  /** Changes limits, or what happens at hard ones. Work that waited for room is let go. */
  change(id: BudgetId, change: BudgetChange): Promise<BudgetStatus> {
    return this.backend.changeBudget(id, change)
  }

  /** Begins a new generation now; the schedule stays. The same `resetId` again resets once. */
  reset(id: BudgetId, resetId?: string): ReturnType<EngineBackend['resetBudget']> {
    return this.backend.resetBudget(id, resetId)
  }

  /**
   * Takes back what an execution used of a budget since the last reset, and tells how much: nothing
   * once its last report to the budget is too old to be known, after one to two weeks.
   */
  release(id: BudgetId, execution: ExecutionId): Promise<UsageAmounts> {
    return this.backend.releaseUsage(id, execution)
  }

  /** Forgets a budget; work that waited for it is let go. */
  remove(id: BudgetId): ReturnType<EngineBackend['removeBudget']> {
    return this.backend.removeBudget(id)
  }
}
