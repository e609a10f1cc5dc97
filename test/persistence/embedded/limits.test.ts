// Limits and turns over a restart: slots, waiters, starts and pauses are what they were.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openDirectory } from '../../../src/persistence/embedded/directory.ts'
import { openEmbeddedStore } from '../../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { claimIds, claimOne, submit } from '../../support/executions.ts'
import { settableProcessClock } from '../../support/settable-clock.ts'

let folder: string
const clock = settableProcessClock()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-limits-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function opened() {
  const directory = await openDirectory(join(folder, 'records.v1'))
  const store = await openEmbeddedStore({ clock, directory })
  return { store, backend: createBackend(store) }
}

/** Rings begin anew, buckets are looked at once: what is dumped is the same but for these. */
function lasting({ store }: Awaited<ReturnType<typeof opened>>) {
  const keys = [...store.dump()].filter(
    ([key]) => key !== 'sleepers' && key !== 'timers' && !key.startsWith('turns:'),
  )
  return new Map(keys)
}

it('goes on with the slots and the waiters that there were', async () => {
  const first = await opened()
  await first.backend.setLimit('api', { concurrency: 1, rate: { count: 3, windowMs: 1000 } })
  const shares = ['a', 'a', 'b', undefined, 'ü']
  for (const fairnessKey of shares) await submit(first.backend, { limit: 'api', fairnessKey })
  const held = await claimOne(first.backend)
  expect(await claimIds(first.backend)).toEqual([])
  const before = lasting(first)
  await first.backend.close()

  const second = await opened()
  expect(lasting(second)).toEqual(before)
  const { backend } = second
  expect(await claimIds(backend)).toEqual([])
  expect(await backend.describeLimit('api')).toMatchObject({ active: 1, waiting: 4, started: 1 })
  await backend.complete(held.handle)
  await backend.complete((await claimOne(backend)).handle)
  await backend.complete((await claimOne(backend)).handle)
  expect(await claimIds(backend)).toEqual([])
  await backend.close()

  // Without the starts of before, the window would have room at once.
  const third = await opened()
  expect(await claimIds(third.backend)).toEqual([])
  await clock.advance(1000)
  await third.backend.complete((await claimOne(third.backend)).handle)
  expect(await claimIds(third.backend)).toHaveLength(1)
  await third.backend.close()
})

it('keeps a slot for what was admitted, until its time is over', async () => {
  const first = await opened()
  await first.backend.setLimit('api', { concurrency: 1 })
  const [, second, third] = [
    await submit(first.backend, { limit: 'api' }),
    await submit(first.backend, { limit: 'api', lane: 'other' }),
    await submit(first.backend, { limit: 'api' }),
  ]
  const { handle } = await claimOne(first.backend)
  expect(await claimIds(first.backend, { lane: ['lane', 'other'] })).toEqual([])
  await first.backend.complete(handle)
  await first.backend.close()

  const { backend } = await opened()
  expect((await backend.describeExecution(second))?.limit).toMatchObject({ state: 'admitted' })
  expect(await claimIds(backend)).toEqual([])
  await clock.advance(30_000)
  expect(await claimIds(backend)).toEqual([third])
  await backend.close()
})

it('stays paused, and ends the pause in time', async () => {
  const first = await opened()
  await first.backend.setLimit('api', { perKey: true, concurrency: 1 })
  const id = await submit(first.backend, { limit: 'api', fairnessKey: 'a' })
  await first.backend.pauseLimit('api', 'a', { forMs: 5000 })
  expect(await claimIds(first.backend)).toEqual([])
  await first.backend.close()

  const { backend } = await opened()
  await clock.advance(4999)
  expect(await claimIds(backend)).toEqual([])
  await clock.advance(1)
  expect(await claimIds(backend)).toEqual([id])
  await backend.close()
})

it('lets keys take turns again', async () => {
  const first = await opened()
  const names = new Map<string, string>()
  for (const fairnessKey of ['a', 'a', 'a', 'b']) {
    names.set(await submit(first.backend, { fairnessKey }), fairnessKey)
  }
  const before = lasting(first)
  await first.backend.close()
  const second = await opened()
  expect(lasting(second)).toEqual(before)
  const order = (await claimIds(second.backend)).map((id) => names.get(id))
  expect(order.join('')).toBe('abaa')
  await second.backend.close()
})
