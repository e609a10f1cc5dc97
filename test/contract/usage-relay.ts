// Reports that cross partitions: whatever is lost, repeated or late, each is counted once.
import { describe, expect, it } from 'vitest'
import { parseExecutionId } from '../../src/ids.ts'
import type { EngineBackend, ReportUsageOutcome } from '../../src/persistence/backend.ts'
import type { Arguments } from '../../src/persistence/contract.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { budgetPartition, claimElsewhere, createBudget, usedOf } from '../support/budgets.ts'
import { refusal, submitAndClaim, sweepAll } from '../support/executions.ts'
import { FaultyStore, persist } from '../support/faulty-store.ts'
import { Random } from '../support/random.ts'

const partitions = 8
const tokens = (amount: number) => ({ custom: { tokens: amount } })

async function begin(open: Open) {
  const opened = await open({ partitions })
  const budget = await createBudget(opened.backend, { dimensions: { tokens: { hard: 1000 } } })
  const claimed = await claimElsewhere(opened.backend, budget)
  return { ...opened, budget, ...claimed }
}

/** The calls that the backend made of an operation. */
function callsOf<Name extends 'usage.report' | 'usage.apply' | 'usage.settle'>(
  { store }: Pick<OpenedBackend, 'store'>,
  name: Name,
) {
  return store.calls
    .filter((call) => call.name === name)
    .map(({ partition, args }) => ({ partition, args: args as Arguments<Name> }))
}

/** A report whose caller dies once it is logged. */
async function logOnly(opened: OpenedBackend, handle: Parameters<EngineBackend['renew']>[0]) {
  const { store, backend } = opened
  const last = store.calls.length
  const dying = createBackend({
    ...{ kind: store.kind, partitionCount: store.partitionCount, durability: store.durability },
    listen: (listener) => store.listen(listener),
    close: async () => undefined,
    call: async (partition, name, args) => {
      if (name === 'usage.apply') throw new Error('dead')
      return store.call(partition, name, args)
    },
  })
  const { items } = await backend.listBudgets(undefined, 1)
  await expect(dying.reportUsage(handle, items[0]?.budgetId ?? '', tokens(5))).rejects.toThrow()
  expect(store.calls.slice(last).map(({ name }) => name)).toContain('usage.report')
}

/** Total of what answers say was counted, each report once. */
function counted(outcomes: readonly (readonly [number, ReportUsageOutcome])[]): number {
  return outcomes.reduce((sum, [amount, outcome]) => {
    const result = outcome.outcome === 'already_applied' ? outcome.first : outcome
    return sum + (result.outcome === 'hard_breach' && !result.counted ? 0 : amount)
  }, 0)
}

export function describeUsageRelay(open: Open): void {
  describe('a report to a budget elsewhere', () => {
    it('is logged, counted and settled, each where it belongs', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, executionId } = opened
      expect(await backend.reportUsage(handle, budget, tokens(5))).toEqual({ outcome: 'ok' })
      const { partition } = parseExecutionId(executionId)
      const home = budgetPartition(budget, partitions)
      expect(callsOf(opened, 'usage.report').map((call) => call.partition)).toEqual([partition])
      expect(callsOf(opened, 'usage.apply').map((call) => call.partition)).toEqual([home])
      expect(callsOf(opened, 'usage.settle').map((call) => call.partition)).toEqual([partition])
      expect(await usedOf(backend, budget)).toEqual({ tokens: 5 })
      expect(await backend.describeUsage(executionId)).toEqual({
        attempts: [{ budgetId: budget, attempt: 0, amounts: { tokens: 5 } }],
        unsettled: 0,
      })
    })

    it('is one call when both lie in one partition', async () => {
      const opened = await open({ partitions: 1 })
      const { backend } = opened
      const budget = await createBudget(backend)
      const { handle } = await submitAndClaim(backend)
      await backend.reportUsage(handle, budget, tokens(5))
      expect(callsOf(opened, 'usage.report')).toHaveLength(1)
      expect(callsOf(opened, 'usage.apply')).toEqual([])
    })

    it('is counted by a sweep when its caller died, after two seconds (F-C15)', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, executionId, clock } = opened
      await logOnly(opened, handle)
      expect(await backend.describeUsage(executionId)).toMatchObject({ unsettled: 1 })
      await clock.advance(1999)
      await sweepAll(backend)
      expect(await usedOf(backend, budget)).toEqual({})
      await clock.advance(1)
      await sweepAll(backend)
      expect(await usedOf(backend, budget)).toEqual({ tokens: 5 })
      expect(await backend.describeUsage(executionId)).toMatchObject({ unsettled: 0 })
      await sweepAll(backend)
      expect(await usedOf(backend, budget)).toEqual({ tokens: 5 })
    })

    it('is told to whoever sweeps, in time', async () => {
      const opened = await begin(open)
      const { backend, handle, executionId } = opened
      await logOnly(opened, handle)
      const { partition } = parseExecutionId(executionId)
      expect(await backend.sweep(partition)).toMatchObject({ nextInMs: 2000 })
    })

    it('is counted when its execution was purged before', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, executionId, clock, dump } = opened
      await logOnly(opened, handle)
      await backend.complete(handle)
      await backend.purgeExecution(executionId)
      await clock.advance(2000)
      await sweepAll(backend)
      expect(await usedOf(backend, budget)).toEqual({ tokens: 5 })
      expect([...(await dump()).keys()].filter((key) => key.includes('usage:'))).toEqual([])
    })

    it('is forgotten by a sweep when its budget is gone', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, executionId, clock } = opened
      await logOnly(opened, handle)
      await backend.removeBudget(budget)
      await clock.advance(2000)
      await sweepAll(backend)
      expect(await backend.describeBudget(budget)).toBeUndefined()
      expect(await backend.describeUsage(executionId)).toEqual({ attempts: [], unsettled: 0 })
    })

    it('counts once, however often and late each step is repeated (F-C14)', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, store } = opened
      for (const amount of [1, 2, 4]) await backend.reportUsage(handle, budget, tokens(amount))
      const late = [...store.calls].filter(({ name }) => name.startsWith('usage.'))
      for (const { partition, name, args } of [...late, ...late.reverse()]) {
        await store.call(partition, name, args as never)
      }
      expect(await usedOf(backend, budget)).toEqual({ tokens: 7 })
    })

    it('is answered alike while it is not known to be settled', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, store } = opened
      await backend.reportUsage(handle, budget, tokens(2000))
      const apply = store.calls.findLast(({ name }) => name === 'usage.apply')
      const again = await store.call(apply?.partition ?? 0, 'usage.apply', apply?.args as never)
      expect(again).toEqual({ ...apply?.answer, replayed: true })
    })

    it('has no room beside 256 others that nobody could send', async () => {
      const opened = await begin(open)
      const { backend, budget, handle, store } = opened
      await backend.reportUsage(handle, budget, tokens(1))
      const { partition, args } = callsOf(opened, 'usage.report')[0] as never as {
        partition: number
        args: Arguments<'usage.report'>
      }
      const log = (at: number) =>
        store.call(partition, 'usage.report', { ...args, key: String(at).padStart(22, '0') })
      const answers = await Promise.all(Array.from({ length: 256 }, (_, at) => log(at)))
      expect(new Set(answers.map(({ outcome }) => outcome))).toEqual(new Set(['logged']))
      await refusal(backend.reportUsage(handle, budget, tokens(1)), 'usage_log_full')
    })
  })

  describe('reports to budgets in several partitions', () => {
    it('add up under lost calls, lost answers and crashes', async () => {
      const { backend, store, clock } = await open({ partitions })
      const random = new Random('usage')
      const faulty = new FaultyStore(store, random, 20)
      const lossy = createBackend(faulty)
      const ids = ['a', 'b', 'c', 'd']
      for (const id of ids)
        await createBudget(backend, { id, dimensions: { tokens: { hard: 150 } } })
      const workers = await Promise.all(
        Array.from({ length: 6 }, (_, at) => submitAndClaim(backend, { lane: `lane-${at}` })),
      )
      const outcomes = new Map<string, [number, ReportUsageOutcome][]>(ids.map((id) => [id, []]))
      const reports = workers.flatMap(({ handle }, at) =>
        Array.from({ length: 20 }, (_, round) => async () => {
          const [id, amount] = [random.one(ids), 1 + random.below(9)]
          const mode = random.one(['record', 'enforce'] as const)
          const given = { ...tokens(amount), mode, dedupKey: `${at} ${round}` }
          const outcome = await persist(() => lossy.reportUsage(handle, id, given))
          outcomes.get(id)?.push([amount, outcome])
        }),
      )
      await Promise.all(reports.map((report) => report()))
      await clock.advance(2000)
      await sweepAll(backend)
      expect(faulty.lost.calls + faulty.lost.answers).toBeGreaterThan(20)
      for (const id of ids) {
        expect(await usedOf(backend, id)).toEqual({ tokens: counted(outcomes.get(id) ?? []) })
      }
      const logged = await Promise.all(
        workers.map(({ executionId }) => backend.describeUsage(executionId)),
      )
      expect(logged.every(({ unsettled }) => unsettled === 0)).toBe(true)
      const totals = logged.flatMap(({ attempts }) => attempts)
      for (const id of ids) {
        const own = totals.filter(({ budgetId }) => budgetId === id)
        const sum = own.reduce((all, { amounts }) => all + (amounts.tokens ?? 0), 0)
        expect({ tokens: sum }).toEqual(await usedOf(backend, id))
      }
      await lossy.close()
    })
  })
}
