// Limits across partitions: who works and who counts live apart, and calls between them get lost.
import { describe, expect, it } from 'vitest'
import { partitionOfBucket } from '../../src/ids.ts'
import type { ClaimedExecution, EngineBackend } from '../../src/persistence/backend.ts'
import type { LimitPolicy } from '../../src/persistence/limit-backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { claimAll, describeOne, stateOf, submit, sweepAll } from '../support/executions.ts'
import { persist } from '../support/faulty-store.ts'
import { LateStore } from '../support/late-store.ts'
import { Random } from '../support/random.ts'

const partitions = 8
const checkMs = 61_000

/** For backends that can have more than one partition. */
export function describeLimitRelay(open: Open): void {
  const limited = async (policy: LimitPolicy) => {
    const opened = await open({ partitions })
    await opened.backend.setLimit('api', policy)
    return opened
  }

  const addMany = (backend: EngineBackend, count: number, overrides = {}) =>
    Promise.all(
      Array.from({ length: count }, () => submit(backend, { limit: 'api', ...overrides })),
    )

  /** Works until everything has ended, each in two goes; never more than `max` at once. */
  const workOff = async (
    { clock }: Pick<OpenedBackend, 'clock'>,
    backend: EngineBackend,
    count: number,
    max: number,
  ) => {
    const held: ClaimedExecution[] = []
    const begun = new Set<string>()
    let done = 0
    for (let round = 0; done < count; round++) {
      expect(round, 'rounds without an end').toBeLessThan(1000)
      const leaseId = `claim-${round}`
      const found = await persist(() =>
        claimAll(backend, { leaseId, leaseMs: 3_600_000, count: 4 }),
      )
      held.push(...found)
      expect(held.length).toBeLessThanOrEqual(max)
      const first = round % 3 > 0 ? held.shift() : undefined
      if (first !== undefined && begun.has(first.executionId)) {
        await persist(() => backend.complete(first.handle))
        done += 1
      } else if (first !== undefined) {
        // Whatever is late about its first slot must not touch the second one.
        await persist(() => backend.delay(first.handle, clock.nowMs()))
        begun.add(first.executionId)
      }
      await clock.advance(100)
      for (const partition of backend.partitions) await persist(() => backend.sweep(partition))
    }
  }

  /** Nothing is left once every slot was checked. */
  const expectNothingLeft = async ({ backend, clock, dump }: OpenedBackend, key?: string) => {
    for (let round = 0; round < 4; round++) {
      await clock.advance(checkMs)
      await sweepAll(backend)
    }
    expect(await backend.describeLimit('api', key)).toMatchObject({ active: 0, waiting: 0 })
    const left = [...(await dump()).keys()].filter((name) =>
      /:(slots|waiters|waiting|owed|turns)/.test(name),
    )
    expect(left).toEqual([])
  }

  describe('a limit over several partitions', () => {
    it('is kept wherever its work lives', async () => {
      const opened = await limited({ concurrency: 3 })
      const { backend } = opened
      const ids = await addMany(backend, 24)
      expect(new Set(ids.map((id) => id.split('-')[0])).size).toBeGreaterThan(2)
      await workOff(opened, backend, ids.length, 3)
      await expectNothingLeft(opened)
    })

    it('is kept for each key, each in a partition of its own', async () => {
      const opened = await limited({ concurrency: 1, perKey: true })
      const { backend } = opened
      const keys = ['a', 'b', 'c', 'd']
      const homes = keys.map((key) => partitionOfBucket(`api|${key}`, partitions))
      expect(new Set(homes).size).toBeGreaterThan(1)
      for (const fairnessKey of keys) await addMany(backend, 5, { fairnessKey })
      await workOff(opened, backend, 20, 4)
      for (const key of keys) await expectNothingLeft(opened, key)
    })

    it('is kept when calls and answers get lost, come twice or late', async () => {
      for (const seed of ['one', 'two']) {
        const opened = await limited({ concurrency: 2 })
        await addMany(opened.backend, 8)
        const store = new LateStore(opened.store, new Random(seed))
        await workOff(opened, createBackend(store), 8, 2)
        await expectNothingLeft(opened)
      }
    })

    it('lets a rate count what begins anywhere', async () => {
      const opened = await limited({ rate: { count: 4, windowMs: 1_000_000 } })
      const { backend, clock } = opened
      await addMany(backend, 12)
      const taken: ClaimedExecution[] = []
      for (let round = 0; round < 20; round++) {
        taken.push(...(await claimAll(backend, { leaseMs: 3_600_000 })))
        await sweepAll(backend)
        await clock.advance(2000)
      }
      expect(taken).toHaveLength(4)
      expect(await backend.describeLimit('api')).toMatchObject({ started: 4, waiting: 8 })
    })

    it('tells work of other partitions at once when there is room', async () => {
      const { backend, store } = await limited({ concurrency: 1 })
      const ids = await addMany(backend, 6)
      const order: string[] = []
      let handle = (await backend.claim('lane', [], { worker: 'worker', maxWaitMs: 20_000 }))[0]
      while (handle !== undefined) {
        order.push(handle.executionId)
        await backend.complete(handle.handle)
        if (order.length === ids.length) break
        // Only notices explain that this ends: nobody sweeps.
        const [next] = await backend.claim('lane', [], { worker: 'worker', maxWaitMs: 20_000 })
        handle = next
      }
      expect(order.sort()).toEqual([...ids].sort())
      expect(store.calls.some(({ name }) => name === 'partition.sweep')).toBe(false)
    })

    it('forgets who does not wait any more', async () => {
      const opened = await limited({ concurrency: 1 })
      const { backend } = opened
      const ids = await addMany(backend, 8)
      const taken: ClaimedExecution[] = []
      for (let round = 0; round < 4; round++) {
        taken.push(...(await claimAll(backend)))
        await sweepAll(backend)
      }
      expect(taken).toHaveLength(1)
      const waiting = ids.filter((id) => id !== taken[0]?.executionId)
      for (const id of waiting) expect(await stateOf(backend, id)).toBe('runnable.blocked')
      expect(await describeOne(backend, waiting[0] as string)).toMatchObject({
        limit: { name: 'api', state: 'waiting' },
      })
      for (const id of waiting) await backend.cancelExecution(id, 'no need')
      await backend.complete((taken[0] as ClaimedExecution).handle)
      await expectNothingLeft(opened)
    })
  })
}
