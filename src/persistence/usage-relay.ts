// Takes logged reports to the partitions of their budgets, as often as it needs, counted once.
import { isEngineError } from '../errors.ts'
import { digest, formatExecutionId, partitionOfDigest } from '../ids.ts'
import type { Arguments } from './contract.ts'
import type { NewsRow } from './generated/operations.ts'
import { OperationCaller } from './operation-caller.ts'

/** A logged report. */
type Report = Omit<Arguments<'usage.apply'>, 'execution'> & { readonly id: string }

/** Reports that one drain sends at most. */
const drainCount = 200

/** How often news are told again because a budget was made anew under its id. */
const tellTriesMax = 3

/** Rows of news that one call reads at most. */
const newsCount = 1000

export class UsageRelay extends OperationCaller {
  /**
   * Has the budget count a report of the partition's, and settles it there. Returns the result, or
   * undefined when the report was settled before. Throws why the budget refused it for good; then
   * the log has forgotten it.
   */
  async send(partition: number, home: number, report: Report): Promise<string | undefined> {
    const { id, seq, settled, budget, mode, amounts, reservation } = report
    const execution = formatExecutionId(partition, id)
    const args = { budget, execution, seq, settled, mode, amounts, reservation }
    try {
      const applied = await this.call(home, 'usage.apply', args)
      // A late repetition; should the log have lost its numbers, it makes a new one.
      const result = applied.outcome === 'forgotten' ? undefined : applied.result
      const isNews = applied.outcome === 'applied' && applied.untold
      await Promise.all([
        this.call(partition, 'usage.settle', { id, seq, result }),
        isNews ? this.tell(home) : undefined,
      ])
      return result
    } catch (error) {
      if (isEngineError(error, 'budget_not_found', 'budget_overflow')) {
        await this.call(partition, 'usage.settle', { id, seq, result: undefined })
      }
      throw error
    }
  }

  /**
   * Has the budgets tell a partition from now on, and lets it know what they say now: before there
   * is work that has to know.
   */
  async attach(partition: number, budgets: string): Promise<void> {
    await Promise.all(
      budgets.split(',').map(async (budget) => {
        const args = { budget, partition }
        const attached = await this.call(this.homeOf(budget), 'budget.attach', args)
        const { version, action } = attached
        if (action === undefined) return
        const noted = await this.call(partition, 'budget.note', { budget, version, action })
        // What it knows is from before the budget was made anew: the budget has to begin after it.
        if (noted.version === version) return
        const home = this.homeOf(budget)
        await this.call(home, 'budget.told', { budget, partition, version: noted.version })
        await this.tell(home)
      }),
    )
  }

  /** Tells partitions what they have yet to hear of one partition's budgets; a sweep goes on. */
  async tell(home: number): Promise<void> {
    let isHeard = false
    for (let tries = 1; !isHeard && tries <= tellTriesMax; tries++) {
      const { news } = await this.call(home, 'budget.untold', { count: newsCount })
      const heard = await Promise.all(news.map((row) => this.tellOne(home, row)))
      isHeard = !heard.includes(false)
    }
  }

  /** Returns false when the partition knows a newer version than the budget has. */
  private async tellOne(
    home: number,
    { budget, version, action, partition }: NewsRow,
  ): Promise<boolean> {
    try {
      const noted = await this.call(partition, 'budget.note', { budget, version, action })
      await this.call(home, 'budget.told', { budget, partition, version: noted.version })
      return noted.version === version
    } catch {
      // A partition that is out of reach hears of it by a later sweep.
      return true
    }
  }

  /** Sends what a crash left on its way. What cannot be sent now is left to a later drain. */
  async drain(partition: number): Promise<void> {
    const { reports } = await this.call(partition, 'usage.unsettled', { count: drainCount })
    await Promise.all(
      reports.map(async (report) => {
        await this.send(partition, this.homeOf(report.budget), report).catch(() => undefined)
      }),
    )
  }

  /** The partition of a budget. */
  homeOf(budget: string): number {
    return partitionOfDigest(digest('budget', String(budget)), this.store.partitionCount)
  }
}
