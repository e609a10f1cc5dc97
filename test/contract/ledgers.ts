// What a budget knows of each execution: as long as reports may come again, and no longer.
import { describe, expect, it } from 'vitest'
import { counts } from '../../src/limits.ts'
import type { Open } from '../support/backends.ts'
import { budgetPartition, createBudget, usedOf } from '../support/budgets.ts'
import { submitAndClaim, sweepAll } from '../support/executions.ts'

const keepMs = counts.ledgerKeepMs

async function begin(open: Open) {
  const opened = await open()
  const { backend, clock, store, dump } = opened
  const budget = await createBudget(backend, { dimensions: { tokens: { hard: 1000 } } })
  const { executionId: execution } = await submitAndClaim(backend)
  const home = budgetPartition(budget, backend.partitions.length)
  const firstMs = clock.nowMs()
  return {
    ...{ backend, budget, execution },
    /** Its report of that number, which counts as many tokens; all before it are settled. */
    apply: async (number: number) => {
      const seq = firstMs * 1000 + number
      const report = { budget, execution, seq, settled: seq - 1, mode: 'record' as const }
      const amounts = `tokens ${number}`
      const answer = await store.call(home, 'usage.apply', {
        ...{ ...report, amounts, reservation: undefined },
      })
      return answer.outcome === 'applied' ? { replayed: answer.replayed } : answer.outcome
    },
    later: async (byMs: number) => {
      await clock.advance(byMs)
      await sweepAll(backend)
    },
    /** How many parts of ledgers hold anything. */
    kept: async () => [...(await dump()).keys()].filter((key) => key.includes('ledger')).length,
  }
}

export function describeLedgers(open: Open): void {
  describe('the ledger of a budget', () => {
    it('knows reports for a week at least, and counts none again', async () => {
      const { apply, later, backend, budget, execution } = await begin(open)
      expect(await apply(4)).toEqual({ replayed: false })
      await later(keepMs - 1)
      expect(await apply(4)).toEqual({ replayed: true })
      await later(1)
      expect(await apply(4)).toEqual({ replayed: true })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 4 })
      expect(await backend.releaseUsage(budget, execution)).toEqual({ tokens: 4 })
      expect(await usedOf(backend, budget)).toEqual({})
    })

    it('forgets executions that report no more, and keeps the sum', async () => {
      const { apply, later, kept, backend, budget, execution } = await begin(open)
      await apply(4)
      await later(keepMs)
      expect(await kept()).toBe(1)
      await later(keepMs)
      expect(await kept()).toBe(0)
      expect(await apply(4)).toBe('forgotten')
      expect(await backend.releaseUsage(budget, execution)).toEqual({})
      expect(await usedOf(backend, budget)).toEqual({ tokens: 4 })
      expect(await apply(5)).toEqual({ replayed: false })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 9 })
    })

    it('remembers an execution for as long as it reports', async () => {
      const { apply, later, kept, backend, budget, execution } = await begin(open)
      await apply(1)
      for (const number of [2, 3, 4]) {
        await later(keepMs)
        expect(await apply(number)).toEqual({ replayed: false })
        expect(await apply(number)).toEqual({ replayed: true })
        expect(await apply(number - 1)).toBe('forgotten')
        expect(await kept()).toBe(1)
      }
      expect(await backend.releaseUsage(budget, execution)).toEqual({ tokens: 10 })
    })

    it('keeps what is not settled through its moves', async () => {
      const { apply, later, backend, budget, execution } = await begin(open)
      await apply(1)
      await later(keepMs)
      await backend.releaseUsage(budget, execution)
      await later(keepMs)
      expect(await apply(1)).toEqual({ replayed: true })
      expect(await usedOf(backend, budget)).toEqual({})
    })

    it('goes with its budget', async () => {
      const { apply, later, kept, backend, budget } = await begin(open)
      await apply(1)
      await later(keepMs)
      await backend.removeBudget(budget)
      expect(await kept()).toBe(0)
      await createBudget(backend, { id: budget })
      expect(await apply(1)).toEqual({ replayed: false })
    })
  })
}
