// Short ways to budgets, to work that reports to them, and to what became of it.
import { expect } from 'vitest'
import { digest, partitionOfDigest } from '../../src/ids.ts'
import type {
  BudgetId,
  BudgetSpec,
  BudgetStatus,
  ClaimedExecution,
  EngineBackend,
} from '../../src/persistence/backend.ts'
import { submitAndClaim } from './executions.ts'

export async function createBudget(
  backend: EngineBackend,
  spec: Partial<BudgetSpec> = {},
): Promise<BudgetId> {
  const answer = await backend.createBudget({ dimensions: {}, ...spec })
  expect(answer.outcome).toBe('created')
  return answer.budgetId
}

export async function statusOf(backend: EngineBackend, id: BudgetId): Promise<BudgetStatus> {
  const status = await backend.describeBudget(id)
  expect(status).toBeDefined()
  return status as BudgetStatus
}

/** What is used of each dimension. */
export async function usedOf(backend: EngineBackend, id: BudgetId) {
  const { dimensions } = await statusOf(backend, id)
  const used = dimensions.filter((one) => one.used > 0)
  return Object.fromEntries(used.map(({ dimension, used: amount }) => [dimension, amount]))
}

export const budgetPartition = (id: BudgetId, partitions: number) =>
  partitionOfDigest(digest('budget', id), partitions)

/** Work under a lease in another partition than the budget's. */
export async function claimElsewhere(
  backend: EngineBackend,
  budget: BudgetId,
): Promise<ClaimedExecution> {
  const home = budgetPartition(budget, backend.partitions.length)
  for (let tries = 0; tries < 100; tries++) {
    const claimed = await submitAndClaim(backend)
    if (Number(claimed.executionId.split('-')[0]) !== home) return claimed
  }
  return expect.fail('all work came to the partition of the budget')
}
