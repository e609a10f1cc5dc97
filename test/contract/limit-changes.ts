// Limits of a rate, pauses, and what changing a limit does.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  refusedWithoutTrace,
  stateOf,
  submit,
  sweepAll,
} from '../support/executions.ts'
import { limitedBy } from '../support/limits.ts'

const one = { concurrency: 1 }

export function describeLimitChanges(open: Open): void {
  const limited = limitedBy(open)

  describe('a limit of a rate', () => {
    it('counts what begins in any window, and tells when there is room', async () => {
      const { backend, add, clock, stands } = await limited({ rate: { count: 2, windowMs: 1000 } })
      for (let round = 0; round < 5; round++) await add()
      const startedAtMs = clock.nowMs()
      expect(await claimIds(backend, { count: 1 })).toHaveLength(1)
      await clock.advance(400)
      expect(await claimIds(backend)).toHaveLength(1)
      expect(await stands()).toMatchObject({ waiting: 3, started: 2 })
      expect(await backend.describeLimit('api')).toMatchObject({ roomAtMs: startedAtMs + 1000 })
      await clock.advance(599)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimIds(backend)).toHaveLength(1)
      await clock.advance(399)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimIds(backend)).toHaveLength(1)
    })

    it('does not count what was admitted and never began', async () => {
      const { backend, add, clock, stands } = await limited({ rate: { count: 1, windowMs: 1000 } })
      const first = await add()
      await backend.complete((await claimOne(backend)).handle)
      const [second, third] = [await add(), await add()]
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await stateOf(backend, first)).toBe('terminal.completed')
      expect(await stateOf(backend, second)).toBe('runnable.ready')
      expect(await stands()).toMatchObject({ active: 1, waiting: 1, started: 1 })
      await backend.cancelExecution(second, 'no need')
      expect(await claimIds(backend)).toEqual([third])
    })

    it('does not count a repeated claim twice, and counts a retry', async () => {
      const { backend, add, clock, stands } = await limited({ rate: { count: 2, windowMs: 1000 } })
      await add({ retry: { attempts: 3, delayMs: 1 } })
      const { handle } = await claimOne(backend, { leaseId: 'mine' })
      await claimOne(backend, { leaseId: 'mine' })
      expect(await stands()).toMatchObject({ started: 1 })
      await backend.fail(handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      await claimOne(backend)
      expect(await stands()).toMatchObject({ started: 2 })
    })

    it('forgets what has left the window of a key that does not come back', async () => {
      const policy = { rate: { count: 5, windowMs: 1000 }, perKey: true }
      const { backend, add, clock, dump } = await limited(policy)
      for (const fairnessKey of ['a', 'a', 'b']) await add({ fairnessKey })
      for (let round = 0; round < 3; round++) {
        await backend.complete((await claimOne(backend)).handle)
        await clock.advance(100)
      }
      const kept = async () =>
        [...(await dump()).keys()].filter((key) => /starts:|timers/.test(key))
      expect(await kept()).toHaveLength(3)
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await kept()).toEqual([])
    })

    it('tells a claim that waits when to look again', async () => {
      const { backend, store, add, clock } = await limited({ rate: { count: 1, windowMs: 1000 } })
      await add()
      await add()
      await claimOne(backend)
      const startedAtMs = clock.nowMs()
      await clock.advance(100)
      expect(await claimIds(backend)).toEqual([])
      const asked = store.calls.filter(({ name }) => name === 'lease.claim').at(-1)
      expect(asked?.answer).toMatchObject({ outcome: 'empty', next_at: startedAtMs + 1000 })
    })
  })

  describe('pauseLimit', () => {
    it('lets nothing begin before a time', async () => {
      const { backend, add, clock } = await limited({ concurrency: 5 })
      const id = await add()
      await backend.pauseLimit('api', undefined, clock.nowMs() + 1000)
      expect(await claimIds(backend)).toEqual([])
      expect(await backend.describeLimit('api')).toMatchObject({
        active: 0,
        waiting: 1,
        pausedUntilMs: clock.nowMs() + 1000,
      })
      await clock.advance(1000)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('of one key leaves the others alone, and can be ended', async () => {
      const { backend, add, clock } = await limited({ concurrency: 5, perKey: true })
      const [a, b] = [await add({ fairnessKey: 'a' }), await add({ fairnessKey: 'b' })]
      await backend.pauseLimit('api', 'a', clock.nowMs() + 100_000)
      expect(await claimIds(backend)).toEqual([b])
      await backend.pauseLimit('api', 'a', 0)
      expect(await claimIds(backend)).toEqual([a])
    })

    it('of the whole limit holds for each of its keys', async () => {
      const { backend, add, clock } = await limited({ concurrency: 5, perKey: true })
      const a = await add({ fairnessKey: 'a' })
      await backend.pauseLimit('api', undefined, clock.nowMs() + 100)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(100)
      expect(await claimIds(backend)).toEqual([a])
    })

    it('is refused for a limit that nobody set, and too far ahead', async () => {
      const opened = await limited()
      const { backend, clock } = opened
      const pause = (name: string, untilMs: number) => () =>
        backend.pauseLimit(name, undefined, untilMs)
      await refusedWithoutTrace(opened, pause('other', 5), 'limit_not_found', { limit: 'other' })
      const late = clock.nowMs() + 367 * 86_400_000
      await refusedWithoutTrace(opened, pause('api', late), 'invalid_input')
    })
  })

  describe('changing a limit', () => {
    it('admits as many as there is room for at once when it is raised', async () => {
      const { backend, add, stands } = await limited()
      for (let round = 0; round < 5; round++) await add()
      expect(await claimIds(backend)).toHaveLength(1)
      await backend.setLimit('api', { concurrency: 3 })
      expect(await stands()).toMatchObject({ active: 3, waiting: 2 })
      expect(await claimIds(backend)).toHaveLength(2)
      await backend.removeLimit('api')
      expect(await claimIds(backend)).toHaveLength(2)
      expect(await backend.describeLimit('api')).toBeUndefined()
    })

    it('takes nobody a slot when it is lowered', async () => {
      const { backend, add, stands } = await limited({ concurrency: 3 })
      for (let round = 0; round < 4; round++) await add()
      const { handle } = await claimOne(backend)
      expect(await claimIds(backend)).toHaveLength(2)
      await backend.setLimit('api', one)
      await backend.complete(handle)
      expect(await claimIds(backend)).toEqual([])
      expect(await stands()).toMatchObject({ active: 2, waiting: 1 })
    })

    it('moves who waits from the whole to each key', async () => {
      const { backend, add, stands } = await limited()
      for (const fairnessKey of ['a', 'a', 'b']) await add({ fairnessKey })
      expect(await claimIds(backend)).toHaveLength(1)
      await backend.setLimit('api', { concurrency: 1, perKey: true })
      expect(await claimIds(backend)).toHaveLength(2)
      expect(await stands('a')).toMatchObject({ active: 1 })
      expect(await stands('b')).toMatchObject({ active: 1 })
    })

    it('limits nothing until it is set', async () => {
      const { backend } = await open()
      for (let round = 0; round < 3; round++) await submit(backend, { limit: 'api' })
      expect(await claimIds(backend)).toHaveLength(3)
      expect(await backend.removeLimit('api')).toEqual({ outcome: 'absent' })
    })

    it.each([
      { concurrency: 0 },
      { concurrency: 1.5 },
      { concurrency: 1_000_001 },
      { rate: { count: 0, windowMs: 1000 } },
      { rate: { count: 1, windowMs: 0 } },
      { rate: { count: 100_001, windowMs: 1000 } },
    ])('is refused out of bounds: %j', async (policy) => {
      const opened = await limited()
      const { backend } = opened
      await refusedWithoutTrace(opened, () => backend.setLimit('api', policy), 'invalid_input')
    })

    it.each(['a b', 'a|b', ''])('is refused for a name that is no word: %j', async (name) => {
      const opened = await limited()
      const { backend } = opened
      await refusedWithoutTrace(opened, () => backend.setLimit(name, one), 'invalid_input')
      const add = () => submit(backend, { limit: name })
      await refusedWithoutTrace(opened, add, 'invalid_input')
    })
  })

  describe('listLimits', () => {
    it('gives pages sorted by name', async () => {
      const { backend } = await open()
      const rate = { count: 5, windowMs: 1000 }
      await backend.setLimit('c', {})
      await backend.setLimit('a', { concurrency: 2 })
      await backend.setLimit('b', { rate, perKey: true })
      expect(await backend.listLimits(undefined, 2)).toEqual({
        items: [
          { name: 'a', concurrency: 2, rate: undefined, perKey: false },
          { name: 'b', concurrency: undefined, rate, perKey: true },
        ],
        nextCursor: 'b',
      })
      expect((await backend.listLimits('b', 2)).items).toMatchObject([{ name: 'c' }])
    })
  })
}
