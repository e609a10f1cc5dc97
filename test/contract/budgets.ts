// Budgets themselves: making, reading, listing, changing, resetting and removing them.
import { describe, expect, it } from 'vitest'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import { createBudget, statusOf, usedOf } from '../support/budgets.ts'
import { refusedWithoutTrace, submitAndClaim, sweepAll } from '../support/executions.ts'

const limits = { tokens: { hard: 100, soft: 80 }, 'cost:µ$': { hard: 0 }, calls: {} }

async function use(backend: EngineBackend, budget: string, tokens: number): Promise<void> {
  const { handle } = await submitAndClaim(backend)
  await backend.reportUsage(handle, budget, { custom: { tokens } })
  await backend.complete(handle)
}

export function describeBudgets(open: Open): void {
  describe('a budget', () => {
    it('is there once it was created', async () => {
      const { backend, clock } = await open()
      expect(await backend.describeBudget('team.a')).toBeUndefined()
      const spec = { id: 'team.a', dimensions: limits, scope: 'tenant:a', resetEveryMs: 60_000 }
      expect(await backend.createBudget(spec)).toEqual({ outcome: 'created', budgetId: 'team.a' })
      expect(await backend.describeBudget('team.a')).toEqual({
        budgetId: 'team.a',
        scope: 'tenant:a',
        onHardLimit: 'warn',
        dimensions: [
          {
            ...{ dimension: 'cost:µ$', hard: 0, soft: undefined },
            ...{ used: 0, reserved: 0, remaining: 0 },
          },
          {
            ...{ dimension: 'tokens', hard: 100, soft: 80 },
            ...{ used: 0, reserved: 0, remaining: 100 },
          },
        ],
        exhausted: true,
        breaches: 0,
        softBreaches: 0,
        lastBreach: undefined,
        reservations: 0,
        generation: 1,
        createdAtMs: clock.nowMs(),
        lastResetAtMs: undefined,
        nextResetAtMs: clock.nowMs() + 60_000,
        resetEveryMs: 60_000,
      })
    })

    it('is the same when it is created alike again, also once it was changed', async () => {
      const { backend } = await open()
      const id = await createBudget(backend, { id: 'one', dimensions: limits })
      await backend.changeBudget(id, { dimensions: { tokens: { hard: 500 } } })
      const reordered = Object.fromEntries(Object.entries(limits).reverse())
      const again = await backend.createBudget({ id, dimensions: reordered })
      expect(again).toEqual({ outcome: 'already_exists', budgetId: id })
      const { dimensions } = await statusOf(backend, id)
      expect(dimensions.find(({ dimension }) => dimension === 'tokens')).toMatchObject({
        hard: 500,
        soft: undefined,
      })
    })

    it('conflicts with another one under its id', async () => {
      const opened = await open()
      const { backend } = opened
      await createBudget(backend, { id: 'one', dimensions: limits })
      for (const other of [
        { dimensions: {} },
        { dimensions: limits, onHardLimit: 'fail' as const },
        { dimensions: limits, scope: 'me' },
        { dimensions: limits, resetEveryMs: 1000 },
      ]) {
        const call = () => backend.createBudget({ id: 'one', ...other })
        await refusedWithoutTrace(opened, call, 'budget_conflict', { budget: 'one' })
      }
    })

    it('gets an id of its own when none is given', async () => {
      const { backend } = await open()
      const [a, b] = [await createBudget(backend), await createBudget(backend)]
      expect(a).not.toBe(b)
      expect(await statusOf(backend, a)).toMatchObject({ exhausted: false, dimensions: [] })
    })

    it.each([
      ['an id with a space', { id: 'a b' }],
      ['an id that is too long', { id: 'x'.repeat(65) }],
      ['a soft limit over the hard one', { dimensions: { a: { hard: 1, soft: 2 } } }],
      ['a negative limit', { dimensions: { a: { hard: -1 } } }],
      ['a fraction', { dimensions: { a: { soft: 0.5 } } }],
      ['a limit that is not exact', { dimensions: { a: { hard: 2 ** 53 } } }],
      ['a dimension with a comma', { dimensions: { 'a,b': { hard: 1 } } }],
      ['a dimension that is no object', { dimensions: { a: 5 as never } }],
      ['a list of dimensions', { dimensions: [] as never }],
      ['an unknown action', { onHardLimit: 'explode' as never }],
      ['a scope of two words', { scope: 'tenant a' }],
      ['a period under a second', { resetEveryMs: 999 }],
      [
        'too many dimensions',
        { dimensions: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`d${at}`, {}])) },
      ],
    ])('is refused with %s', async (_, spec) => {
      const opened = await open()
      const call = () => opened.backend.createBudget({ dimensions: {}, ...spec })
      await refusedWithoutTrace(opened, call, 'invalid_input')
    })

    it('is removed with all that it counted, once', async () => {
      const opened = await open()
      const { backend } = opened
      const empty = await opened.dump()
      const id = await createBudget(backend, { dimensions: limits, resetEveryMs: 5000 })
      expect(await backend.removeBudget(id)).toEqual({ outcome: 'removed' })
      expect(await backend.removeBudget(id)).toEqual({ outcome: 'absent' })
      expect(await opened.dump()).toEqual(empty)
    })

    it('that is unknown is not found, and nothing is created', async () => {
      const opened = await open()
      const { backend } = opened
      for (const call of [
        () => backend.changeBudget('none', { onHardLimit: 'fail' }),
        () => backend.resetBudget('none'),
        () => backend.releaseUsage('none', `0-${'0'.repeat(26)}`),
      ]) {
        await refusedWithoutTrace(opened, call, 'budget_not_found', { budget: 'none' })
      }
    })
  })

  describe('a change of a budget', () => {
    it('sets what it names and leaves the rest', async () => {
      const { backend } = await open()
      const id = await createBudget(backend, { dimensions: limits })
      const status = await backend.changeBudget(id, {
        dimensions: { tokens: { hard: 200 }, 'cost:µ$': {}, new: { soft: 1 } },
        onHardLimit: 'fail',
      })
      expect(status.onHardLimit).toBe('fail')
      expect(status.dimensions).toMatchObject([
        { dimension: 'new', hard: undefined, soft: 1 },
        { dimension: 'tokens', hard: 200, soft: undefined },
      ])
    })

    it('may put a limit below what was used', async () => {
      const { backend } = await open()
      const id = await createBudget(backend, { dimensions: limits })
      await use(backend, id, 90)
      const status = await backend.changeBudget(id, { dimensions: { tokens: { hard: 10 } } })
      expect(status).toMatchObject({ exhausted: true })
      expect(status.dimensions).toMatchObject([{}, { used: 90, hard: 10, remaining: 0 }])
    })
  })

  describe('the list of budgets', () => {
    it('pages through all of them, and misses none while others come and go', async () => {
      const { backend } = await open()
      const ids: string[] = []
      for (let at = 0; at < 25; at++) ids.push(await createBudget(backend, { id: `budget-${at}` }))
      const seen: string[] = []
      let cursor: string | undefined
      for (let pages = 0; pages < 100; pages++) {
        const page = await backend.listBudgets(cursor, 4)
        expect(page.items.length).toBeLessThanOrEqual(4)
        seen.push(...page.items.map(({ budgetId }) => budgetId))
        cursor = page.nextCursor
        if (cursor === undefined) break
        await backend.removeBudget(page.items[0]?.budgetId ?? 'none')
        await createBudget(backend, { id: `later-${pages}` })
      }
      expect(cursor).toBeUndefined()
      expect(new Set(seen).size).toBe(seen.length)
      expect(seen).toEqual(expect.arrayContaining(ids))
    })

    it('takes no other cursor', async () => {
      const opened = await open()
      for (const cursor of ['', 'a', '1', '0:a b', '-1:']) {
        const call = () => opened.backend.listBudgets(cursor, 10)
        await refusedWithoutTrace(opened, call, 'invalid_input', { argument: 'cursor' })
      }
      expect(await opened.backend.listBudgets(undefined, 10)).toEqual({
        items: [],
        nextCursor: undefined,
      })
    })
  })

  describe('a reset', () => {
    it('begins a new generation in which nothing was used or breached', async () => {
      const { backend, clock } = await open()
      const id = await createBudget(backend, { dimensions: limits })
      await use(backend, id, 150)
      expect(await statusOf(backend, id)).toMatchObject({ breaches: 1, exhausted: true })
      await clock.advance(5)
      expect(await backend.resetBudget(id)).toEqual({ generation: 2, nextResetAtMs: undefined })
      expect(await statusOf(backend, id)).toMatchObject({
        ...{ breaches: 0, softBreaches: 0, lastBreach: undefined, generation: 2 },
        lastResetAtMs: clock.nowMs(),
      })
      expect(await usedOf(backend, id)).toEqual({})
    })

    it('that is asked for again under its id happens once', async () => {
      const { backend } = await open()
      const id = await createBudget(backend, { dimensions: limits })
      await backend.resetBudget(id, 'monthly')
      await use(backend, id, 7)
      expect(await backend.resetBudget(id, 'monthly')).toMatchObject({ generation: 2 })
      expect(await usedOf(backend, id)).toEqual({ tokens: 7 })
      expect(await backend.resetBudget(id, 'another')).toMatchObject({ generation: 3 })
    })

    it('comes by its schedule, at the millisecond, whoever looks first', async () => {
      const { backend, clock } = await open()
      const id = await createBudget(backend, { dimensions: limits, resetEveryMs: 1000 })
      const startMs = clock.nowMs()
      await use(backend, id, 90)
      await clock.advance(999)
      expect(await usedOf(backend, id)).toEqual({ tokens: 90 })
      await clock.advance(1)
      await use(backend, id, 5)
      expect(await usedOf(backend, id)).toEqual({ tokens: 5 })
      expect(await statusOf(backend, id)).toMatchObject({
        generation: 2,
        nextResetAtMs: startMs + 2000,
      })
    })

    it('that was missed moves nothing of the schedule, and counts once', async () => {
      const { backend, clock } = await open()
      const id = await createBudget(backend, { dimensions: limits, resetEveryMs: 1000 })
      const startMs = clock.nowMs()
      await clock.advance(7300)
      await Promise.all([sweepAll(backend), sweepAll(backend), sweepAll(backend)])
      expect(await statusOf(backend, id)).toMatchObject({
        generation: 2,
        lastResetAtMs: startMs + 7300,
        nextResetAtMs: startMs + 8000,
      })
    })

    it('by hand leaves the schedule as it is', async () => {
      const { backend, clock } = await open()
      const id = await createBudget(backend, { dimensions: limits, resetEveryMs: 1000 })
      const nextResetAtMs = clock.nowMs() + 1000
      await clock.advance(400)
      expect(await backend.resetBudget(id)).toEqual({ generation: 2, nextResetAtMs })
    })

    it('is told to whoever sweeps, in time', async () => {
      const { backend } = await open({ partitions: 1 })
      await createBudget(backend, { resetEveryMs: 1234 })
      expect(await backend.sweep(0)).toMatchObject({ nextInMs: 1234 })
    })
  })
}
