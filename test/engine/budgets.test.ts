// Budgets through the public surface: reporting from a task, managing from the application.
import { describe, expect, test } from 'vitest'
import { type BudgetStatus, type ReportUsageOutcome, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'

const dimensions = { tokens: { hard: 100, soft: 80 } }

/** Reports what it is told to, one after the other. */
const spend = task({
  name: 'spend',
  async run(context, amounts: readonly number[]) {
    const outcomes: ReportUsageOutcome[] = []
    for (const tokens of amounts) outcomes.push(await context.usage('team', { tokens }))
    return outcomes.map(({ outcome }) => outcome)
  },
})

describe.each(kinds)('budgets on %s', (kind) => {
  const { open } = useEngines(kind)

  test('are created, found, listed, changed and removed', async () => {
    const { budgets } = await open()
    const created = { outcome: 'created', budgetId: 'team' }
    expect(await budgets.create({ id: 'team', dimensions, resetEvery: '1h' })).toEqual(created)
    expect(await budgets.create({ id: 'team', dimensions, resetEvery: 3_600_000 })).toMatchObject({
      outcome: 'already_exists',
    })
    await refusal(budgets.create({ id: 'team', dimensions }), 'budget_conflict')
    await refusal(budgets.create({ dimensions, resetEvery: 'soon' as never }), 'invalid_input')
    expect(await budgets.get('team')).toMatchObject({ resetEveryMs: 3_600_000, generation: 1 })
    expect(await budgets.get('nobody')).toBeUndefined()
    for (let at = 0; at < 120; at++) await budgets.create({ id: `other-${at}`, dimensions })
    const listed: BudgetStatus[] = []
    for await (const budget of budgets.list()) listed.push(budget)
    expect(new Set(listed.map(({ budgetId }) => budgetId)).size).toBe(121)
    expect(await budgets.change('team', { onHardLimit: 'fail' })).toMatchObject({
      onHardLimit: 'fail',
    })
    expect(await budgets.remove('team')).toEqual({ outcome: 'removed' })
    expect(await budgets.get('team')).toBeUndefined()
  })

  test('count what tasks report, and tell them where they stand', async () => {
    const engine = await open()
    await engine.budgets.create({ id: 'team', dimensions })
    await engine.work([spend])
    const execution = await engine.submit(spend, [80, 1, 20])
    expect(await execution.result()).toEqual(['ok', 'soft_breach', 'hard_breach'])
    const budget = await engine.budgets.get('team')
    expect(budget?.dimensions).toMatchObject([{ dimension: 'tokens', used: 101, remaining: 0 }])
    expect(await execution.usage()).toEqual({
      attempts: [{ budgetId: 'team', attempt: 0, amounts: { tokens: 101 } }],
      unsettled: 0,
    })
    expect(await engine.budgets.release('team', execution.id)).toEqual({ tokens: 101 })
    expect(await engine.budgets.reset('team')).toMatchObject({ generation: 2 })
  })

  test('count a call of an earlier attempt once', async () => {
    const engine = await open()
    await engine.budgets.create({ id: 'team', dimensions })
    const outcomes: string[] = []
    const flaky = task({
      name: 'flaky',
      retry: { attempts: 2, delay: 1 },
      async run(context) {
        const report = { dedupKey: 'the call' }
        outcomes.push((await context.usage('team', { tokens: 5 }, report)).outcome)
        if (context.attempt === 0) throw new Error('once')
      },
    })
    await engine.work([flaky])
    await (await engine.submit(flaky, undefined)).result()
    expect(outcomes).toEqual(['ok', 'already_applied'])
    expect((await engine.budgets.get('team'))?.dimensions[0]?.used).toBe(5)
  })

  test('are reserved, and settled by what was really used', async () => {
    const engine = await open()
    await engine.budgets.create({ id: 'team', dimensions })
    const careful = task({
      name: 'careful',
      async run(context) {
        const held = await context.reserve('team', { tokens: 90 }, { ttl: '1m' })
        const other = await context.reserve('team', { tokens: 20 })
        if (held.outcome === 'hard_breach') return []
        const { reservationId } = held
        const report = { reservationId, mode: 'enforce' } as const
        const told = await context.usage('team', { tokens: 70 }, report)
        return [held.outcome, other.outcome, told.outcome]
      },
    })
    await engine.work([careful])
    const execution = await engine.submit(careful, undefined)
    expect(await execution.result()).toEqual(['reserved', 'hard_breach', 'ok'])
    expect((await engine.budgets.get('team'))?.dimensions).toMatchObject([
      { used: 70, reserved: 0, remaining: 30 },
    ])
  })

  test('keep work back and let it go to a worker that waits', async () => {
    const engine = await open()
    await engine.budgets.create({ id: 'team', dimensions, onHardLimit: 'withhold' })
    await engine.work([spend])
    await (await engine.submit(spend, [100])).result()
    const attached = await engine.submit(spend, [1], { budgets: ['team'] })
    const events = engine.events()
    await engine.submit(spend, [1], { budgets: ['team'] })
    for await (const item of events) if (item.event === 'withhold') break
    await engine.budgets.reset('team')
    expect(await attached.result()).toEqual(['ok'])
  })

  test('of a task go with every execution of it', async () => {
    const engine = await open()
    await engine.budgets.create({
      id: 'team',
      dimensions: { tokens: { hard: 0 } },
      onHardLimit: 'fail',
    })
    const bound = task({ name: 'bound', budgets: ['team'], run: () => 'begun' })
    await engine.work([bound])
    const execution = await engine.submit(bound, undefined)
    const error = await refusal(execution.result(), 'execution_failed')
    expect(error.details).toMatchObject({ reason: 'budget_exceeded' })
    expect(await execution.describe()).toMatchObject({ budgets: ['team'], totalAttempts: 0 })
  })
})
