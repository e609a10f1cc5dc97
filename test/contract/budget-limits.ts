// What used-up budgets do to the work that is attached to them.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type { BudgetSpec, EngineBackend } from '../../src/persistence/backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import type { Open } from '../support/backends.ts'
import { budgetPartition, createBudget, statusOf } from '../support/budgets.ts'
import {
  claimAll,
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'

const dimensions = { tokens: { hard: 10 } }
const full = { custom: { tokens: 10 } }

/** A budget, and work of nobody that has used it up. */
async function usedUp(backend: EngineBackend, spec: Partial<BudgetSpec> = {}) {
  const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold', ...spec })
  const spender = await submitAndClaim(backend, { lane: 'spenders' }, { lane: 'spenders' })
  await backend.reportUsage(spender.handle, budget, full)
  return { budget, spender }
}

async function cancelled(backend: EngineBackend, id: ExecutionId): Promise<ExecutionId> {
  await backend.cancelExecution(id, 'over')
  return id
}

export function describeBudgetLimits(open: Open): void {
  describe('work with a budget', () => {
    it('tells which budgets it has, and begins while they have room', async () => {
      const { backend } = await open()
      const [a, b] = [await createBudget(backend, { dimensions }), await createBudget(backend)]
      const id = await submit(backend, { budgets: [b, a, b] })
      expect((await describeOne(backend, id)).budgets).toEqual([a, b].sort())
      expect(await claimIds(backend)).toEqual([id])
      const other = await submit(backend)
      expect((await describeOne(backend, other)).budgets).toEqual([])
    })

    it('is kept back while one of them is used up (W26)', async () => {
      const { backend } = await open()
      const { budget } = await usedUp(backend)
      const roomy = await createBudget(backend, { dimensions })
      const id = await submit(backend, { budgets: [roomy, budget] })
      expect(await claimIds(backend)).toEqual([])
      expect(await describeOne(backend, id)).toMatchObject({
        ...{ state: 'runnable.blocked', withheldBy: 'budget', totalAttempts: 0 },
      })
      expect(await claimIds(backend)).toEqual([])
    })

    it('is kept back too when it was submitted before', async () => {
      const { backend } = await open()
      const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold' })
      const [first, second] = [
        await submitAndClaim(backend, { budgets: [budget] }),
        await submit(backend, { budgets: [budget] }),
      ]
      await backend.reportUsage(first.handle, budget, full)
      expect(await claimIds(backend)).toEqual([])
      expect(await stateOf(backend, second)).toBe('runnable.blocked')
      expect(await stateOf(backend, first.executionId)).toBe('leased.held')
    })

    it('does not stand in the way of other work', async () => {
      const { backend } = await open({ partitions: 1 })
      const { budget } = await usedUp(backend)
      for (let at = 0; at < 20; at++) await submit(backend, { budgets: [budget], priority: 9 })
      const id = await submit(backend)
      expect(await claimIds(backend, { count: 1 })).toEqual([id])
    })

    it('is found behind any amount of work that is kept back', async () => {
      const { backend } = await open({ partitions: 1 })
      const { budget } = await usedUp(backend)
      await Promise.all(
        Array.from({ length: 150 }, () => submit(backend, { budgets: [budget], priority: 9 })),
      )
      const id = await submit(backend)
      const found = await claimAll(backend, { count: 1, maxWaitMs: 5000 })
      expect(found.map(({ executionId }) => executionId)).toEqual([id])
    })

    it.each<[string, (backend: EngineBackend, budget: string, spender: string) => unknown]>([
      ['is raised', (backend, id) => backend.changeBudget(id, { dimensions: { tokens: {} } })],
      ['is reset', (backend, id) => backend.resetBudget(id)],
      ['gets usage back', (backend, id, spender) => backend.releaseUsage(id, spender)],
      ['only warns', (backend, id) => backend.changeBudget(id, { onHardLimit: 'warn' })],
      ['is removed', (backend, id) => backend.removeBudget(id)],
    ])('is let go when its budget %s', async (_, act) => {
      const { backend } = await open()
      const { budget, spender } = await usedUp(backend)
      const ids = [
        await submit(backend, { budgets: [budget] }),
        await submit(backend, { budgets: [budget] }),
      ]
      expect(await claimIds(backend)).toEqual([])
      await act(backend, budget, spender.executionId)
      expect([...(await claimIds(backend))].sort()).toEqual(ids.sort())
    })

    it('is let go when its budget is reset by its schedule', async () => {
      const { backend, clock } = await open()
      const { budget } = await usedUp(backend, { resetEveryMs: 60_000 })
      const id = await submit(backend, { budgets: [budget] })
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(60_000)
      await sweepAll(backend)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('is let go a part at a time when much of it waits, all of it by sweeps', async () => {
      const { backend } = await open({ partitions: 1 })
      const { budget } = await usedUp(backend)
      await Promise.all(Array.from({ length: 200 }, () => submit(backend, { budgets: [budget] })))
      while ((await claimIds(backend)).length > 0) expect.fail('it should be kept back')
      for (let at = 0; at < 4; at++) await claimIds(backend)
      await backend.resetBudget(budget)
      for (let at = 0; at < 2; at++) await backend.sweep(0)
      expect(await claimIds(backend)).toHaveLength(200)
    })

    it('waits on when another of its budgets is used up', async () => {
      const { backend } = await open()
      const [a, b] = [await usedUp(backend), await usedUp(backend)]
      const id = await submit(backend, { budgets: [a.budget, b.budget] })
      expect(await claimIds(backend)).toEqual([])
      await backend.resetBudget(a.budget)
      expect(await claimIds(backend)).toEqual([])
      expect(await stateOf(backend, id)).toBe('runnable.blocked')
      await backend.resetBudget(b.budget)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('can be cancelled, and expires, while it is kept back', async () => {
      const { backend, clock, dump } = await open()
      const { budget } = await usedUp(backend)
      const ids = [
        await submit(backend, { budgets: [budget] }),
        await submit(backend, { budgets: [budget], deadlineMs: 1000 }),
      ]
      expect(await claimIds(backend)).toEqual([])
      await backend.cancelExecution(ids[0] ?? '', 'over')
      await clock.advance(1000)
      await sweepAll(backend)
      const states = await Promise.all(ids.map((id) => stateOf(backend, id)))
      expect(states).toEqual(['terminal.cancelled', 'terminal.expired'])
      expect([...(await dump()).keys()].filter((key) => key.includes('waiters'))).toEqual([])
      await backend.resetBudget(budget)
      expect(await claimIds(backend)).toEqual([])
    })

    it('of any number is let go by those who ask for it, without a sweep', async () => {
      const { backend } = await open({ partitions: 1 })
      const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold' })
      const { handle } = await submitAndClaim(backend, { budgets: [budget] })
      await backend.reportUsage(handle, budget, full)
      const many = Array.from({ length: 200 }, () => submit(backend, { budgets: [budget] }))
      const ids = await Promise.all(many)
      for (let round = 0; round < 5; round++) expect(await claimIds(backend)).toEqual([])
      await backend.resetBudget(budget)
      const claimed: string[] = []
      for (let round = 0; round < 4; round++) {
        claimed.push(...(await claimIds(backend, { count: 64 })))
      }
      expect(claimed.sort()).toEqual(ids.sort())
    })

    it('that is under way goes on, also when its lease is lost', async () => {
      const { backend } = await open()
      const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold' })
      const { handle, executionId } = await submitAndClaim(backend, { budgets: [budget] })
      await backend.reportUsage(handle, budget, full)
      await backend.renew(handle)
      await backend.revokeLease(executionId)
      const again = await claimOne(backend)
      await backend.complete(again.handle)
      expect(await stateOf(backend, executionId)).toBe('terminal.completed')
    })

    it('that comes back before its end is kept back, and goes on later', async () => {
      const { backend, clock } = await open()
      const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold' })
      const { handle, executionId } = await submitAndClaim(backend, { budgets: [budget] })
      await backend.reportUsage(handle, budget, full)
      await backend.delay(handle, clock.nowMs())
      const grant = await backend.issueClaimGrant(executionId, { worker: 'worker', grantMs: 10 })
      await refusal(backend.claimResumedExecution({ grant }), 'budget_exhausted', { budget })
      await clock.advance(10)
      expect(await claimIds(backend)).toEqual([])
      await backend.resetBudget(budget)
      expect(await claimOne(backend)).toMatchObject({ executionId, attempt: 0 })
    })

    it('fails when it would begin, if its budget says so', async () => {
      const { backend } = await open()
      const { budget } = await usedUp(backend, { onHardLimit: 'fail' })
      const id = await submit(backend, { budgets: [budget] })
      expect(await claimIds(backend)).toEqual([])
      expect(await backend.watch(id)).toMatchObject({
        outcome: 'failed',
        reason: 'budget_exceeded',
      })
      await backend.resetBudget(budget)
      await backend.replayExecution(id)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('fails even if it was kept back, once its budget says so', async () => {
      const { backend } = await open()
      const { budget } = await usedUp(backend)
      const id = await submit(backend, { budgets: [budget] })
      expect(await claimIds(backend)).toEqual([])
      await backend.changeBudget(budget, { onHardLimit: 'fail' })
      expect(await claimIds(backend)).toEqual([])
      expect(await stateOf(backend, id)).toBe('terminal.failed')
    })

    it.each(['warn', 'deny_children'] as const)(
      'begins when its budget does %s',
      async (action) => {
        const { backend } = await open()
        const { budget } = await usedUp(backend, { onHardLimit: action })
        const id = await submit(backend, { budgets: [budget] })
        expect(await claimIds(backend)).toEqual([id])
      },
    )

    it('is refused with an unknown budget, with too many, or with what is none', async () => {
      const opened = await open()
      const { backend } = opened
      const call = (budgets: unknown) => () =>
        backend.submit({
          ...{ lane: 'lane', task: 'task', input: new Uint8Array(0) },
          budgets: budgets as string[],
        })
      await refusedWithoutTrace(opened, call(['none']), 'budget_not_found', { budget: 'none' })
      for (const budgets of [['a b'], 'a', [5], ['a,b'], ['']]) {
        await refusedWithoutTrace(opened, call(budgets), 'invalid_input')
      }
      const ids = Array.from({ length: 9 }, (_, at) => `b${at}`)
      for (const id of ids) await createBudget(backend, { id })
      await refusal(call(ids)(), 'invalid_input')
    })

    it('is told of by an operator who looks at the feed', async () => {
      const { backend } = await open({ partitions: 1 })
      const { budget } = await usedUp(backend)
      const from = await backend.readEvents(0, undefined, 1)
      await submit(backend, { budgets: [budget] })
      await claimIds(backend)
      await backend.resetBudget(budget)
      const { events } = await backend.readEvents(0, from.cursor, 10)
      expect(events.map(({ event, by }) => [event, by])).toEqual([
        ['submit', 'submitter'],
        ['withhold', 'budget'],
        ['admit', 'budget'],
      ])
    })
  })

  describe('what a budget has to tell', () => {
    it('is told by a sweep when whoever used it up died', async () => {
      const { backend, store } = await open()
      const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold' })
      const { handle } = await submitAndClaim(backend, { budgets: [budget] })
      const id = await submit(backend, { budgets: [budget] })
      const dying = createBackend({
        ...{ kind: store.kind, partitionCount: store.partitionCount, durability: store.durability },
        listen: (listener) => store.listen(listener),
        close: async () => undefined,
        call: async (partition, name, args) => {
          if (name === 'budget.untold') throw new Error('dead')
          return store.call(partition, name, args)
        },
      })
      await expect(dying.reportUsage(handle, budget, full)).rejects.toThrow('dead')
      await sweepAll(backend)
      expect(await claimIds(backend)).toEqual([])
      expect(await stateOf(backend, id)).toBe('runnable.blocked')
    })

    it('is not undone by older news that comes late', async () => {
      const { backend, store } = await open()
      const { budget, spender } = await usedUp(backend)
      const id = await submit(backend, { budgets: [budget] })
      await backend.resetBudget(budget)
      await backend.reportUsage(spender.handle, budget, full)
      const notes = store.calls.filter(({ name }) => name === 'budget.note')
      expect(notes.length).toBeGreaterThan(1)
      for (const { partition, args } of notes.reverse()) {
        await store.call(partition, 'budget.note', args as never)
      }
      expect(await claimIds(backend)).toEqual([])
      expect(await stateOf(backend, id)).toBe('runnable.blocked')
    })

    it('leaves nothing behind once all have heard that it was removed', async () => {
      const { backend, dump } = await open()
      const { budget } = await usedUp(backend)
      await submit(backend, { budgets: [budget] })
      await backend.removeBudget(budget)
      expect(await backend.describeBudget(budget)).toBeUndefined()
      const kinds = /:(budget|told|ledger|holds|untold|budgets|budget_times)(:|$)/
      const keys = [...(await dump()).keys()].map((key) => `:${key.replace(/^.*\}:/, '')}`)
      expect(keys.filter((key) => kinds.test(key))).toEqual([])
    })

    it('of one that was made anew under its id counts more', async () => {
      const { backend } = await open()
      const { budget, spender } = await usedUp(backend, { id: 'again' })
      const id = await submit(backend, { budgets: [budget], idempotencyKey: 'first' })
      expect(await claimIds(backend)).toEqual([])
      await backend.removeBudget(budget)
      expect(await claimIds(backend)).toEqual([id])
      await createBudget(backend, { id: 'again', dimensions, onHardLimit: 'withhold' })
      expect(await statusOf(backend, budget)).toMatchObject({ exhausted: false })
      await backend.purgeExecution(await cancelled(backend, id))
      // The same key again comes to the partition that heard of the budget before.
      const second = await submit(backend, { budgets: [budget], idempotencyKey: 'first' })
      await backend.reportUsage(spender.handle, budget, full)
      expect(await claimIds(backend)).toEqual([])
      await backend.resetBudget(budget)
      expect(await claimIds(backend)).toEqual([second])
    })

    it('reaches every partition with such work', async () => {
      const { backend } = await open()
      const count = backend.partitions.length
      const budget = await createBudget(backend, { dimensions, onHardLimit: 'withhold' })
      const ids = await Promise.all(
        Array.from({ length: 8 * count }, () => submit(backend, { budgets: [budget] })),
      )
      expect(budgetPartition(budget, count)).toBeLessThan(count)
      const spender = await submitAndClaim(backend, { lane: 'spenders' }, { lane: 'spenders' })
      await backend.reportUsage(spender.handle, budget, full)
      expect(await claimIds(backend)).toEqual([])
      await backend.resetBudget(budget)
      expect(await claimIds(backend)).toHaveLength(ids.length)
    })
  })
}
