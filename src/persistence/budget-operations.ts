// Budgets and reports of usage over any store; what crosses partitions is logged before it is sent.
import { EngineError } from '../errors.ts'
import {
  digest,
  type ExecutionId,
  formatExecutionId,
  mintLeaseId,
  parseExecutionId,
} from '../ids.ts'
import { bounds } from '../limits.ts'
import { storedAmounts } from './amounts.ts'
import type { Accepted } from './answers.ts'
import { anyCount, checkWhole } from './arguments.ts'
import type { Handle, Page } from './backend.ts'
import type {
  BudgetBackend,
  BudgetChange,
  BudgetId,
  BudgetSpec,
  BudgetStatus,
  CreateBudgetOutcome,
  ExecutionUsage,
  ReportUsageOutcome,
  ReservationRequest,
  ReserveOutcome,
  UsageAmounts,
  UsageDimensions,
} from './backend-budget.ts'
import {
  readAmounts,
  readBudget,
  readResult,
  readTotals,
  reportedAmounts,
  writtenAmounts,
  writtenLimits,
} from './budget-status.ts'
import type { Arguments } from './contract.ts'
import { parseHandle } from './handle.ts'
import { OperationCaller } from './operation-caller.ts'
import { UsageRelay } from './usage-relay.ts'

const defaultReservationMs = 60_000

/** How often a report is logged again when its budget takes it for one of long ago. */
const numbersLostMax = 3

function checkKey(key: string): string {
  const length = typeof key === 'string' ? Buffer.byteLength(key) : 0
  if (length >= 1 && length <= 256) return key
  throw new EngineError('invalid_input', 'dedupKey must be 1 to 256 bytes', {
    details: { argument: 'dedupKey' },
  })
}

/** A digest that stands for the caller's key, or for this call alone. */
function keyDigest(what: string, budget: BudgetId, key: string | undefined): string {
  return key === undefined
    ? digest('once', mintLeaseId())
    : digest(what, String(budget), checkKey(key))
}

export class BudgetOperations extends OperationCaller implements BudgetBackend {
  readonly relay = new UsageRelay(this.store)

  /** The operations alone, to be put beside others. */
  operations(): BudgetBackend {
    return {
      reportUsage: (handle, budget, dimensions) => this.reportUsage(handle, budget, dimensions),
      reserveUsage: (handle, budget, request) => this.reserveUsage(handle, budget, request),
      createBudget: (spec) => this.createBudget(spec),
      describeBudget: (id) => this.describeBudget(id),
      listBudgets: (cursor, limit) => this.listBudgets(cursor, limit),
      changeBudget: (id, change) => this.changeBudget(id, change),
      resetBudget: (id, resetId) => this.resetBudget(id, resetId),
      removeBudget: (id) => this.removeBudget(id),
      releaseUsage: (budget, id) => this.releaseUsage(budget, id),
      describeUsage: (id) => this.describeUsage(id),
    }
  }

  async reportUsage(
    handle: Handle,
    budget: BudgetId,
    dimensions: UsageDimensions,
  ): Promise<ReportUsageOutcome> {
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const { dedupKey, mode = 'record', reservationId } = dimensions ?? {}
    const home = this.partitionOf(budget)
    const args = {
      ...fence,
      key: keyDigest('usage', budget, dedupKey),
      budget,
      mode,
      amounts: reportedAmounts(dimensions ?? {}),
      reservation: reservationId,
      here: home === partition ? home : undefined,
    }
    for (let tries = 1; ; tries++) {
      const logged = await this.call(partition, 'usage.report', args)
      if (logged.outcome === 'reported') {
        if (logged.untold) await this.relay.tell(home)
        return told(logged.result, logged.replayed && dedupKey !== undefined)
      }
      const report = { ...args, id: fence.id, seq: logged.seq, settled: logged.settled }
      const result = await this.relay.send(partition, home, report)
      // Without a result somebody else settled it in the meantime: the log knows how.
      if (result !== undefined) return told(result, logged.replayed && dedupKey !== undefined)
      if (tries === numbersLostMax) {
        throw new EngineError('invariant_broken', `budget ${budget} knows report ${logged.seq}`)
      }
    }
  }

  async reserveUsage(
    handle: Handle,
    budget: BudgetId,
    { amounts, ttlMs = defaultReservationMs, dedupKey }: ReservationRequest,
  ): Promise<ReserveOutcome> {
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const execution = formatExecutionId(partition, fence.id)
    const reservation =
      dedupKey === undefined
        ? keyDigest('reservation', budget, undefined)
        : digest('reservation', execution, checkKey(dedupKey))
    await this.call(partition, 'lease.check', fence)
    // What the lease's loss leaves behind runs out by itself.
    const answer = await this.call(this.partitionOf(budget), 'budget.reserve', {
      budget,
      execution,
      reservation,
      amounts: writtenAmounts(amounts),
      ttl_ms: ttlMs,
    })
    if (answer.outcome === 'hard_breach') {
      const { outcome, dimension, current, limit } = answer
      return { outcome, dimension, currentUsage: current, limit }
    }
    const { outcome, expires_at, replayed } = answer
    return { outcome, reservationId: reservation, expiresAtMs: expires_at, replayed }
  }

  async createBudget(spec: BudgetSpec): Promise<CreateBudgetOutcome> {
    const { id = digest('budget', mintLeaseId()), onHardLimit = 'warn', scope } = spec
    const dimensions = writtenLimits(spec.dimensions)
    const rest = { dimensions, on_hard: onHardLimit, scope, reset_ms: spec.resetEveryMs }
    const sorted = dimensions.split(',').sort().join(',')
    const fingerprint = digest('budget', JSON.stringify({ ...rest, dimensions: sorted }))
    const answer = await this.call(this.partitionOf(id), 'budget.create', {
      budget: id,
      fingerprint,
      ...rest,
    })
    const outcome = answer.outcome === 'created' ? 'created' : 'already_exists'
    return { outcome, budgetId: id }
  }

  async describeBudget(id: BudgetId): Promise<BudgetStatus | undefined> {
    const answer = await this.call(this.partitionOf(id), 'budget.describe', { budget: id })
    return answer.outcome === 'absent' ? undefined : readBudget(id, answer.fields)
  }

  async listBudgets(
    cursor: string | undefined,
    limit: number,
  ): Promise<Page<BudgetStatus, string>> {
    checkWhole('limit', limit, anyCount)
    let place = cursor === undefined ? firstPlace : this.parseCursor(cursor)
    const ids: BudgetId[] = []
    let left = Math.min(limit, bounds.page_count.max)
    let next: string | undefined
    while (place.partition < this.store.partitionCount) {
      const { partition, after } = place
      const page = await this.call(partition, 'budget.list', { after, count: left })
      ids.push(...page.ids)
      left -= page.ids.length
      if (page.more || left === 0) {
        next = this.nextCursor(partition, page.ids.at(-1) ?? after, page.more)
        break
      }
      place = { partition: partition + 1, after: undefined }
    }
    const found = await Promise.all(ids.map((id) => this.describeBudget(id)))
    // One that was removed in the meantime is not there any more.
    return { items: found.filter((status) => status !== undefined), nextCursor: next }
  }

  async changeBudget(id: BudgetId, change: BudgetChange): Promise<BudgetStatus> {
    const { dimensions, onHardLimit } = change
    await this.changing('budget.change', {
      budget: id,
      dimensions: writtenLimits(dimensions),
      on_hard: onHardLimit,
    })
    const status = await this.describeBudget(id)
    if (status !== undefined) return status
    throw new EngineError('budget_not_found', `budget ${id} was removed`, {
      details: { budget: id },
    })
  }

  async resetBudget(id: BudgetId, resetId: string = mintLeaseId()) {
    const args = { budget: id, reset_id: resetId }
    const { generation, next_reset_at } = await this.changing('budget.reset', args)
    return { generation, nextResetAtMs: next_reset_at }
  }

  async removeBudget(id: BudgetId): Promise<{ outcome: 'removed' | 'absent' }> {
    const { outcome } = await this.changing('budget.remove', { budget: id })
    return { outcome }
  }

  async releaseUsage(budget: BudgetId, id: ExecutionId): Promise<UsageAmounts> {
    parseExecutionId(id)
    const { amounts } = await this.changing('budget.release', { budget, execution: id })
    return readAmounts(storedAmounts(amounts))
  }

  async describeUsage(id: ExecutionId): Promise<ExecutionUsage> {
    const { partition, local } = parseExecutionId(id)
    const { totals, unsettled } = await this.call(partition, 'usage.totals', { id: local })
    return { attempts: readTotals(totals), unsettled }
  }

  private partitionOf(budget: BudgetId): number {
    return this.relay.homeOf(budget)
  }

  /** Calls an operation of a budget, and has told at once what attached work has to know. */
  private async changing<
    Name extends 'budget.change' | 'budget.release' | 'budget.remove' | 'budget.reset',
  >(name: Name, args: Arguments<Name> & { readonly budget: BudgetId }): Promise<Accepted<Name>> {
    const home = this.partitionOf(args.budget)
    const answer = await this.call(home, name, args)
    if ('untold' in answer && answer.untold) await this.relay.tell(home)
    return answer
  }

  private parseCursor(cursor: string) {
    const match = typeof cursor === 'string' ? /^(\d{1,4}):([\w.-]{0,64})$/.exec(cursor) : null
    if (match === null) {
      throw new EngineError('invalid_input', 'cursor is not a cursor of budgets', {
        details: { argument: 'cursor' },
      })
    }
    return { partition: Number(match[1]), after: match[2] || undefined }
  }

  private nextCursor(partition: number, after: BudgetId | undefined, more: boolean) {
    if (more) return `${partition}:${after ?? ''}`
    const isLast = partition + 1 === this.store.partitionCount
    return isLast ? undefined : `${partition + 1}:`
  }
}

const firstPlace: { readonly partition: number; readonly after: BudgetId | undefined } = {
  partition: 0,
  after: undefined,
}

function told(result: string, isKnown: boolean): ReportUsageOutcome {
  const first = readResult(result)
  return isKnown ? { outcome: 'already_applied', first } : first
}
