// Budgets in a directory: a record per field, put together again on opening, refused when broken.
import { expect, test } from 'vitest'
import type { EngineBackend } from '../../../src/persistence/backend.ts'
import type { RecordDirectory } from '../../../src/persistence/embedded/directory.ts'
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { claimIds, submit, submitAndClaim } from '../../support/executions.ts'

class RecordsInMemory implements RecordDirectory {
  readonly records = new Map<string, Uint8Array>()

  load = () => [...this.records].sort(([a], [b]) => (a < b ? -1 : 1))
  async commit(changes: ReadonlyMap<string, Uint8Array | undefined>) {
    for (const [key, value] of changes) {
      if (value === undefined) this.records.delete(key)
      else this.records.set(key, Buffer.from(value))
    }
  }
  async close() {}
}

async function open(directory: RecordDirectory) {
  const store = await openEmbeddedStore({ directory })
  return { store, backend: createBackend(store) }
}

/** A budget that is used up, one with a reservation, work that waits, and news for somebody. */
async function fill(backend: EngineBackend, store: EmbeddedStore) {
  const dimensions = { tokens: { hard: 10 }, ünï: { soft: 5 } }
  await backend.createBudget({ id: 'full', dimensions, onHardLimit: 'withhold', scope: 'ünï' })
  await backend.createBudget({ id: 'roomy', dimensions, resetEveryMs: 60_000 })
  await backend.createBudget({ id: 'removed', dimensions: { a: { hard: 0 } }, onHardLimit: 'fail' })
  const { handle, executionId } = await submitAndClaim(backend)
  await backend.reportUsage(handle, 'full', { custom: { tokens: 10, ünï: 6 }, dedupKey: 'one' })
  await backend.reserveUsage(handle, 'roomy', { amounts: { tokens: 4 } })
  await submit(backend, { budgets: ['full', 'roomy'] })
  expect(await claimIds(backend)).toEqual([])
  await store.call(0, 'budget.attach', { budget: 'removed', partition: 7 })
  await store.call(0, 'budget.remove', { budget: 'removed' })
  const [, , attempt, leaseId = '', epoch] = handle.opaque.split('|')
  const local = executionId.split('-')[1] as string
  // A report whose caller died.
  await store.call(0, 'usage.report', {
    ...{ id: local, attempt: Number(attempt), lease_id: leaseId, epoch: Number(epoch) },
    ...{ key: 'k'.repeat(22), budget: 'roomy', mode: 'record', amounts: 'tokens 3' },
    ...{ reservation: undefined, here: undefined },
  })
  return { handle, local }
}

test('Everything about budgets survives, and goes on', async () => {
  const directory = new RecordsInMemory()
  const first = await open(directory)
  const { handle } = await fill(first.backend, first.store)
  const before = first.store.dump()
  await first.backend.close()

  const second = await open(directory)
  expect(second.store.dump()).toEqual(before)
  expect([...before.keys()]).toEqual(
    expect.arrayContaining([
      'budget_waiters:full',
      'unsettled',
      'untold',
      'exhausted',
      'holds:roomy',
    ]),
  )
  const again = { custom: { tokens: 1 }, dedupKey: 'one' }
  expect(await second.backend.reportUsage(handle, 'full', again)).toMatchObject({
    outcome: 'already_applied',
  })
  await second.backend.removeBudget('full')
  expect(await claimIds(second.backend)).toHaveLength(1)
  await second.backend.close()
})

test('A removed budget leaves no record', async () => {
  const directory = new RecordsInMemory()
  const { backend } = await open(directory)
  await backend.createBudget({ id: 'one', dimensions: { tokens: { hard: 10 } } })
  const { handle } = await submitAndClaim(backend)
  await backend.reportUsage(handle, 'one', { custom: { tokens: 10 } })
  await backend.reserveUsage(handle, 'one', { amounts: { other: 4 } })
  await backend.removeBudget('one')
  const kinds = /^(budget|ledger.|holds|told):/
  expect([...directory.records.keys()].filter((key) => kinds.test(key))).toEqual([])
})

test.each<[string, (local: string) => readonly [string, string | undefined]]>([
  ['a budget that misses what it was made from', () => ['budget:full fingerprint', undefined]],
  ['use of no budget', () => ['ledger0:none 0-0', '1 0 - a 1']],
  ['a reservation of no budget', () => ['holds:none x', '0-0 1 a 1']],
  ['a record that names no field', () => ['budget:full', '1']],
  ['a log that is missing', (local) => [`x:${local}`, undefined]],
])('A directory with %s is refused', async (_what, broken) => {
  const directory = new RecordsInMemory()
  const { backend, store } = await open(directory)
  const { local } = await fill(backend, store)
  const [key, value] = broken(local)
  if (key.startsWith('x:')) {
    for (const name of [...directory.records.keys()]) {
      if (name.startsWith(`usage:${local} `)) directory.records.delete(name)
    }
  } else if (value === undefined) directory.records.delete(key)
  else directory.records.set(key, Buffer.from(value))
  await expect(open(directory)).rejects.toMatchObject({ code: 'corruption' })
})
