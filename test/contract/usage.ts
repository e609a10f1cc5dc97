// Reports of usage: what is counted, what is told, and that each report counts once.
import { describe, expect, it } from 'vitest'
import type { EngineBackend, UsageDimensions } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import { createBudget, statusOf, usedOf } from '../support/budgets.ts'
import {
  claimOne,
  refusal,
  refusedWithoutTrace,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'

const dimensions = { tokens: { hard: 10, soft: 5 }, calls: { hard: 3 } }
const tokens = (amount: number, more: Partial<UsageDimensions> = {}): UsageDimensions => ({
  custom: { tokens: amount },
  ...more,
})

async function begin(backend: EngineBackend) {
  const budget = await createBudget(backend, { dimensions })
  const { handle, executionId } = await submitAndClaim(backend)
  return {
    budget,
    handle,
    executionId,
    report: (given: UsageDimensions) => backend.reportUsage(handle, budget, given),
  }
}

export function describeUsage(open: Open): void {
  describe('a report of usage', () => {
    it('counts every dimension that it tells', async () => {
      const { backend } = await open()
      const { budget, report, executionId } = await begin(backend)
      const custom = { tokens: 1, calls: 2, ünï: 3, __proto__: 4 }
      Object.defineProperty(custom, '__proto__', { value: 4, enumerable: true })
      const given = { inputTokens: 100, outputTokens: 20, wallMs: 3000, custom }
      expect(await report(given)).toEqual({ outcome: 'ok' })
      const { dimensions: counted } = await statusOf(backend, budget)
      expect(counted.map(({ dimension, used }) => [dimension, used])).toEqual([
        ['__proto__', 4],
        ['calls', 2],
        ['input_tokens', 100],
        ['output_tokens', 20],
        ['tokens', 1],
        ['wall_ms', 3000],
        ['ünï', 3],
      ])
      const { attempts, unsettled } = await backend.describeUsage(executionId)
      expect(unsettled).toBe(0)
      expect(attempts).toMatchObject([{ budgetId: budget, attempt: 0 }])
      expect(Object.entries(attempts[0]?.amounts ?? {})).toHaveLength(7)
    })

    it('tells a passed soft limit after it counted', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      expect(await report(tokens(5))).toEqual({ outcome: 'ok' })
      expect(await report(tokens(1))).toEqual({
        ...{ outcome: 'soft_breach', dimension: 'tokens', currentUsage: 6, limit: 5 },
      })
      expect(await statusOf(backend, budget)).toMatchObject({ softBreaches: 1, breaches: 0 })
    })

    it('may reach a hard limit exactly', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      expect(await report(tokens(10, { mode: 'enforce' }))).toMatchObject({
        outcome: 'soft_breach',
        currentUsage: 10,
      })
      expect(await statusOf(backend, budget)).toMatchObject({ exhausted: true, breaches: 0 })
    })

    it('of what was used is counted beyond a hard limit, and told', async () => {
      const { backend, clock } = await open()
      const { budget, report } = await begin(backend)
      expect(await report(tokens(12))).toEqual({
        ...{ outcome: 'hard_breach', dimension: 'tokens', currentUsage: 12, limit: 10 },
        counted: true,
      })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 12 })
      expect(await statusOf(backend, budget)).toMatchObject({
        breaches: 1,
        lastBreach: { dimension: 'tokens', atMs: clock.nowMs() },
      })
    })

    it('that is to keep the limits is counted whole or not at all', async () => {
      const { backend } = await open()
      const { budget, report, executionId } = await begin(backend)
      await report(tokens(8))
      const custom = { calls: 1, tokens: 3 }
      expect(await report({ custom, mode: 'enforce' })).toEqual({
        ...{ outcome: 'hard_breach', dimension: 'tokens', currentUsage: 8, limit: 10 },
        counted: false,
      })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 8 })
      expect(await backend.describeUsage(executionId)).toMatchObject({
        attempts: [{ amounts: { tokens: 8 } }],
      })
    })

    it('of nothing is a probe', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      expect(await report(tokens(0, { mode: 'enforce' }))).toEqual({ outcome: 'ok' })
      await report(tokens(12))
      expect(await report(tokens(0, { mode: 'enforce' }))).toMatchObject({
        outcome: 'hard_breach',
        currentUsage: 12,
      })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 12 })
    })

    it('adds up a dimension that comes twice before it looks at limits', async () => {
      const { backend } = await open()
      const { budget, handle } = await begin(backend)
      const custom = { input_tokens: 6 }
      await backend.changeBudget(budget, { dimensions: { input_tokens: { hard: 10 } } })
      const twice = { inputTokens: 6, custom, mode: 'enforce' } as const
      expect(await backend.reportUsage(handle, budget, twice)).toMatchObject({
        ...{ outcome: 'hard_breach', dimension: 'input_tokens', counted: false },
      })
      await backend.reportUsage(handle, budget, { inputTokens: 4, custom })
      expect(await usedOf(backend, budget)).toEqual({ input_tokens: 10 })
    })

    it('with the key of an earlier one counts nothing and tells what came of that', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      await report(tokens(9, { dedupKey: 'first' }))
      const breach = await report(tokens(2, { dedupKey: 'call', mode: 'enforce' }))
      expect(breach).toMatchObject({ outcome: 'hard_breach', counted: false })
      await backend.resetBudget(budget)
      for (const amount of [2, 1, 12]) {
        expect(await report(tokens(amount, { dedupKey: 'call' }))).toEqual({
          outcome: 'already_applied',
          first: breach,
        })
      }
      expect(await usedOf(backend, budget)).toEqual({})
      expect(await statusOf(backend, budget)).toMatchObject({ breaches: 0 })
    })

    it('counts once under its key while it is asked for many times at once', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, () => report(tokens(3, { dedupKey: 'call' }))),
      )
      expect(outcomes.filter(({ outcome }) => outcome === 'ok')).toHaveLength(1)
      expect(outcomes.filter(({ outcome }) => outcome === 'already_applied')).toHaveLength(9)
      expect(await usedOf(backend, budget)).toEqual({ tokens: 3 })
    })

    it('is another report under the same key for another budget', async () => {
      const { backend } = await open()
      const { budget, report, handle } = await begin(backend)
      const other = await createBudget(backend)
      await report(tokens(3, { dedupKey: 'call' }))
      const second = await backend.reportUsage(handle, other, tokens(4, { dedupKey: 'call' }))
      expect(second).toEqual({ outcome: 'ok' })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 3 })
      expect(await usedOf(backend, other)).toEqual({ tokens: 4 })
    })

    it('keeps its key over the attempts of an execution', async () => {
      const { backend } = await open()
      const budget = await createBudget(backend, { dimensions })
      const retry = { attempts: 2, delayMs: 0 + 1 }
      const first = await submitAndClaim(backend, { retry })
      await backend.reportUsage(first.handle, budget, tokens(3, { dedupKey: 'call' }))
      await backend.revokeLease(first.executionId)
      const second = await claimOne(backend)
      expect(second.attempt).toBe(1)
      const again = await backend.reportUsage(
        second.handle,
        budget,
        tokens(4, { dedupKey: 'call' }),
      )
      expect(again).toMatchObject({ outcome: 'already_applied' })
      await backend.reportUsage(second.handle, budget, tokens(2))
      expect(await usedOf(backend, budget)).toEqual({ tokens: 5 })
      expect((await backend.describeUsage(first.executionId)).attempts).toEqual([
        { budgetId: budget, attempt: 0, amounts: { tokens: 3 } },
        { budgetId: budget, attempt: 1, amounts: { tokens: 2 } },
      ])
    })

    it('without a key is a new report each time', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      await Promise.all([report(tokens(1)), report(tokens(1)), report(tokens(1))])
      expect(await usedOf(backend, budget)).toEqual({ tokens: 3 })
    })

    it('to an unknown budget is refused, and creates none', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle, executionId } = await submitAndClaim(backend)
      const call = () => backend.reportUsage(handle, 'none', tokens(1, { dedupKey: 'call' }))
      await refusal(call(), 'budget_not_found', { budget: 'none' })
      expect(await backend.describeBudget('none')).toBeUndefined()
      expect(await backend.describeUsage(executionId)).toEqual({ attempts: [], unsettled: 0 })
      await createBudget(backend, { id: 'none', dimensions })
      expect(await call()).toEqual({ outcome: 'ok' })
      expect(await usedOf(backend, 'none')).toEqual({ tokens: 1 })
    })

    it('of a worker that lost its lease is refused', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { budget, report, executionId } = await begin(backend)
      await backend.revokeLease(executionId)
      await refusedWithoutTrace(opened, () => report(tokens(1)), 'lease_revoked')
      const second = await claimOne(backend)
      await refusedWithoutTrace(opened, () => report(tokens(1)), 'stale_lease')
      await backend.complete(second.handle)
      const late = () => backend.reportUsage(second.handle, budget, tokens(1))
      await refusedWithoutTrace(opened, late, 'execution_not_active')
      const third = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(1000)
      await refusal(backend.reportUsage(third.handle, budget, tokens(1)), 'lease_expired')
      expect(await usedOf(backend, budget)).toEqual({})
    })

    it.each<[string, UsageDimensions]>([
      ['nothing', {}],
      ['a fraction', { inputTokens: 0.5 }],
      ['less than nothing', { wallMs: -1 }],
      ['what cannot be written exactly', { outputTokens: 2 ** 53 }],
      ['a sum that cannot', { inputTokens: 2 ** 52, custom: { input_tokens: 2 ** 52 } }],
      ['no number', { custom: { a: 'many' as never } }],
      ['a name of two words', { custom: { 'a b': 1 } }],
      ['an empty name', { custom: { '': 1 } }],
      ['a list', { custom: [1] as never }],
      ['an empty key', { inputTokens: 1, dedupKey: '' }],
      ['a key that is too long', { inputTokens: 1, dedupKey: 'x'.repeat(257) }],
      ['another mode', { inputTokens: 1, mode: 'forgive' as never }],
      ['no reservation', { inputTokens: 1, reservationId: 'mine' }],
      [
        'too many dimensions',
        { custom: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`d${at}`, 1])) },
      ],
    ])('is refused when it tells %s', async (_, given) => {
      const opened = await open()
      const { report } = await begin(opened.backend)
      await refusedWithoutTrace(opened, () => report(given), 'invalid_input')
    })

    it('counts up to what can be written exactly, and no further', async () => {
      const { backend } = await open()
      const { budget, report, executionId } = await begin(backend)
      const most = Number.MAX_SAFE_INTEGER
      await report({ custom: { much: most - 1 } })
      await report({ custom: { much: 1 } })
      await refusal(report({ custom: { much: 1 } }), 'budget_overflow', { dimension: 'much' })
      expect(await usedOf(backend, budget)).toEqual({ much: most })
      expect(await backend.describeUsage(executionId)).toMatchObject({
        attempts: [{ amounts: { much: most } }],
        unsettled: 0,
      })
    })

    it('counts at most 64 dimensions of one budget', async () => {
      const { backend } = await open()
      const { budget, report } = await begin(backend)
      const named = (from: number, count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, at) => [`d${from + at}`, 1]))
      await report({ custom: named(0, 32) })
      await report({ custom: named(32, 32) })
      await refusal(report({ custom: named(64, 1) }), 'budget_overflow')
      await report({ custom: named(0, 1) })
      expect(Object.keys(await usedOf(backend, budget))).toHaveLength(64)
    })

    it('leaves the execution as it is', async () => {
      const { backend } = await open()
      const { report, executionId } = await begin(backend)
      const before = await backend.describeExecution(executionId)
      await report(tokens(12))
      expect(await backend.describeExecution(executionId)).toEqual(before)
    })

    it('is forgotten with its execution, but for what the budget counted', async () => {
      const { backend, clock, dump } = await open()
      const budget = await createBudget(backend, { dimensions })
      const { handle, executionId } = await submitAndClaim(backend, { retentionMs: 0 })
      await backend.reportUsage(handle, budget, tokens(3))
      await backend.complete(handle)
      await clock.advance(1)
      await sweepAll(backend)
      expect(await backend.describeExecution(executionId)).toBeUndefined()
      expect([...(await dump()).keys()].filter((key) => key.includes('usage:'))).toEqual([])
      expect(await usedOf(backend, budget)).toEqual({ tokens: 3 })
    })
  })

  describe('releasing usage', () => {
    it('takes back what the execution used, once', async () => {
      const { backend } = await open()
      const { budget, report, executionId } = await begin(backend)
      const other = await submitAndClaim(backend)
      await report({ custom: { tokens: 3, calls: 1 } })
      await backend.reportUsage(other.handle, budget, tokens(2))
      expect(await backend.releaseUsage(budget, executionId)).toEqual({ tokens: 3, calls: 1 })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 2 })
      expect(await backend.releaseUsage(budget, executionId)).toEqual({})
      await report(tokens(1))
      expect(await usedOf(backend, budget)).toEqual({ tokens: 3 })
    })

    it('takes nothing back that was used before a reset', async () => {
      const { backend } = await open()
      const { budget, report, executionId } = await begin(backend)
      const other = await submitAndClaim(backend)
      await report(tokens(9))
      await backend.resetBudget(budget)
      await backend.reportUsage(other.handle, budget, tokens(7))
      expect(await backend.releaseUsage(budget, executionId)).toEqual({})
      expect(await usedOf(backend, budget)).toEqual({ tokens: 7 })
      await report(tokens(2))
      expect(await backend.releaseUsage(budget, executionId)).toEqual({ tokens: 2 })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 7 })
    })
  })
}
