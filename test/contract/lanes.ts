// Lanes: what pausing and draining let through, and how lanes are listed.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
  withoutTrace,
  work,
} from '../support/executions.ts'

export function describeLanes(open: Open): void {
  describe('a paused lane', () => {
    it('takes submissions and gives nothing out until it is resumed (W51)', async () => {
      const { backend } = await open()
      const before = await submit(backend)
      await backend.pauseLane('lane')
      const after = await submit(backend)
      expect(await claimIds(backend)).toEqual([])
      await backend.resumeLane('lane')
      expect([...(await claimIds(backend))].sort()).toEqual([before, after].sort())
    })

    it('does not stop those who work already', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.pauseLane('lane')
      await clock.advance(10)
      await backend.progress(handle, 50)
      await backend.renew(handle)
      await backend.complete(handle)
      expect(await stateOf(backend, executionId)).toBe('terminal.completed')
    })

    it('stops no clock: delays, leases and deadlines go on', async () => {
      const { backend, clock } = await open()
      const held = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      const delayed = await submit(backend, { delayMs: 1000 })
      const late = await submit(backend, { deadlineMs: 1000 })
      await backend.pauseLane('lane')
      await clock.advance(1000)
      for (const partition of backend.partitions) await backend.sweep(partition)
      expect(await stateOf(backend, held.executionId)).toBe('leased.expired')
      expect(await stateOf(backend, delayed)).toBe('runnable.ready')
      expect(await stateOf(backend, late)).toBe('terminal.expired')
      expect(await claimIds(backend)).toEqual([])
    })

    it('holds up no other lane', async () => {
      const { backend } = await open()
      await backend.pauseLane('lane')
      await submit(backend)
      const id = await submit(backend, { lane: 'other' })
      expect(await claimIds(backend, { lane: ['lane', 'other'] })).toEqual([id])
    })

    it('leaves the state of its work alone', async () => {
      const { backend } = await open()
      const id = await submit(backend)
      await backend.pauseLane('lane')
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'runnable.ready',
        blockedBy: undefined,
      })
    })
  })

  describe('a draining lane', () => {
    it('refuses submissions and gives out what it has (W51)', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend, { retry: { attempts: 2, delayMs: 1 } })
      await backend.drainLane('lane')
      await refusedWithoutTrace(opened, () => backend.submit(work()), 'lane_closed', {
        lane: 'lane',
      })
      const { executionId, handle } = await claimOne(backend)
      expect(executionId).toBe(id)
      await backend.fail(handle, { message: 'oops' }, 'transient')
      await opened.clock.advance(1)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('takes replays: they are no new submissions', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.complete(handle)
      await backend.drainLane('lane')
      await backend.replayExecution(executionId)
      expect(await claimIds(backend)).toEqual([executionId])
    })

    it('takes submissions again once it is resumed', async () => {
      const { backend } = await open()
      await backend.drainLane('lane')
      await backend.resumeLane('lane')
      const id = await submit(backend)
      expect(await claimIds(backend)).toEqual([id])
    })
  })

  describe('the name of a lane', () => {
    it.each(['a,b', 'a|b', 'a b', 'a\nb', '', 'x'.repeat(65)])(
      'is nothing that would break lists or keys: %j (W36)',
      async (lane) => {
        const opened = await open()
        const { backend } = opened
        for (const call of [
          () => backend.submit(work({ lane })),
          () => backend.claim(lane, [], { worker: 'worker' }),
          () => backend.claim(['fine', lane], [], { worker: 'worker' }),
          () => backend.pauseLane(lane),
        ]) {
          await refusedWithoutTrace(opened, call, 'invalid_input')
        }
      },
    )
  })

  describe('the state of a lane', () => {
    it('can be set before the lane is used, and holds in every partition', async () => {
      const { backend } = await open()
      await backend.pauseLane('lane')
      await Promise.all(Array.from({ length: 40 }, () => submit(backend)))
      expect(await claimIds(backend)).toEqual([])
      expect(await backend.listLanes(undefined, 10)).toEqual({
        items: [{ lane: 'lane', state: 'paused' }],
        corrupt: [],
        nextCursor: undefined,
      })
    })

    it('is not changed by submissions', async () => {
      const { backend } = await open()
      await backend.pauseLane('lane')
      await submit(backend)
      const { items } = await backend.listLanes(undefined, 10)
      expect(items).toEqual([{ lane: 'lane', state: 'paused' }])
    })

    it.each(['pauseLane', 'drainLane', 'resumeLane'] as const)(
      'is left alone when %s is repeated',
      async (set) => {
        const opened = await open()
        await opened.backend[set]('lane')
        await withoutTrace(opened, () => opened.backend[set]('lane'))
      },
    )
  })

  describe('listLanes', () => {
    it('lists every lane that was ever used, sorted by name, with its state (W46)', async () => {
      const { backend } = await open()
      for (const lane of ['b', 'a', 'B', 'z', '__proto__', 'a1', 'ä'])
        await submit(backend, { lane })
      await backend.pauseLane('b')
      await backend.drainLane('z')
      expect((await backend.listLanes(undefined, 100)).items).toEqual([
        { lane: 'B', state: 'active' },
        { lane: '__proto__', state: 'active' },
        { lane: 'a', state: 'active' },
        { lane: 'a1', state: 'active' },
        { lane: 'b', state: 'paused' },
        { lane: 'z', state: 'draining' },
        { lane: 'ä', state: 'active' },
      ])
    })

    it('gives pages after a cursor, and a cursor only when there is more', async () => {
      const { backend } = await open()
      for (const lane of ['a', 'b', 'c', 'd']) await submit(backend, { lane })
      const page = async (cursor: string | undefined, limit: number) => {
        const { items, nextCursor } = await backend.listLanes(cursor, limit)
        return [items.map(({ lane }) => lane).join(''), nextCursor]
      }
      expect(await page(undefined, 2)).toEqual(['ab', 'b'])
      expect(await page('b', 2)).toEqual(['cd', undefined])
      expect(await page('bb', 1)).toEqual(['c', 'c'])
      expect(await page('d', 2)).toEqual(['', undefined])
      expect(await page(undefined, 4)).toEqual(['abcd', undefined])
    })

    it('gives nothing and no cursor for a limit of nothing', async () => {
      const { backend } = await open()
      await submit(backend)
      expect(await backend.listLanes(undefined, 0)).toEqual({
        items: [],
        corrupt: [],
        nextCursor: undefined,
      })
    })
  })
}
