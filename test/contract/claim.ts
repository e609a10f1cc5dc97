// Claiming: what a worker gets, in which order, and that nobody else gets it.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimAll,
  claimIds,
  claimOne,
  describeOne,
  stateOf,
  submit,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'

export function describeClaim(open: Open): void {
  describe('claim', () => {
    it('hands over all that a worker needs to begin', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { task: 'resize', attemptTimeoutMs: 5000 })
      const createdAtMs = clock.nowMs()
      await clock.advance(100)
      const claimed = await claimOne(backend, { worker: 'worker-1', leaseMs: 2000 })
      expect(claimed).toEqual({
        handle: { backend: backend.kind, kind: 'fresh', opaque: expect.any(String) },
        executionId: id,
        leaseId: expect.stringMatching(/^[\w-]{16}\.1$/),
        lane: 'lane',
        task: 'resize',
        input: bytes('input'),
        attempt: 0,
        attemptType: 'initial',
        epoch: expect.any(Number),
        leaseMs: 2000,
        expiresAtMs: clock.nowMs() + 2000,
        attemptDeadlineAtMs: clock.nowMs() + 5000,
        createdAtMs,
      })
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'leased.held',
        publicState: 'active',
        totalAttempts: 1,
        currentAttempt: { attempt: 0, startedAtMs: clock.nowMs() },
        currentLease: {
          epoch: claimed.epoch,
          worker: 'worker-1',
          expiresAtMs: clock.nowMs() + 2000,
        },
      })
    })

    it('is answered with nothing when there is nothing', async () => {
      const opened = await open()
      expect(await opened.backend.claim('lane', [], { worker: 'worker' })).toEqual([])
    })

    it('takes one execution unless told otherwise, with a lease of 30 seconds', async () => {
      const { backend } = await open()
      await submit(backend)
      await submit(backend)
      const found = await backend.claim('lane', [], { worker: 'worker' })
      expect(found.map(({ leaseMs }) => leaseMs)).toEqual([30_000])
    })

    it.each([100, 3_600_000])('grants leases of %i ms', async (leaseMs) => {
      const { backend, clock } = await open()
      const { expiresAtMs } = await submitAndClaim(backend, {}, { leaseMs })
      expect(expiresAtMs).toBe(clock.nowMs() + leaseMs)
    })

    it('takes as many as it asks for, oldest first', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const ids = []
      for (let round = 0; round < 7; round++) {
        ids.push(await submit(backend))
        await clock.advance(1)
      }
      expect(await claimIds(backend, { count: 3 })).toEqual(ids.slice(0, 3))
      expect(await claimIds(backend, { count: 256 })).toEqual(ids.slice(3))
      expect(await claimIds(backend)).toEqual([])
    })

    it('keeps the order of submission within one millisecond', async () => {
      const { backend } = await open({ partitions: 1 })
      const ids = []
      for (let round = 0; round < 10; round++) ids.push(await submit(backend))
      expect(await claimIds(backend)).toEqual(ids)
    })

    it('takes 256 executions at once', async () => {
      const { backend } = await open()
      await Promise.all(Array.from({ length: 260 }, () => submit(backend)))
      expect(new Set(await claimIds(backend)).size).toBe(256)
      expect(await claimIds(backend)).toHaveLength(4)
    })

    it('never gives one execution to two workers, however they hurry', async () => {
      const { backend, peer } = await open()
      const backends = [backend, (await peer()).backend]
      const ids = await Promise.all(Array.from({ length: 60 }, () => submit(backend)))
      const found = await Promise.all(
        Array.from({ length: 40 }, (_, at) => claimIds(backends[at % 2] ?? backend, { count: 3 })),
      )
      expect(found.flat().sort()).toEqual([...ids].sort())
    })

    it('serves several lanes, and only those', async () => {
      const { backend } = await open({ partitions: 1 })
      const first = await submit(backend, { lane: 'a' })
      const urgent = await submit(backend, { lane: 'b', priority: 1 })
      await submit(backend, { lane: 'c' })
      expect(await claimIds(backend, { lane: ['a', 'b', 'a'] })).toEqual([urgent, first])
      expect(await claimIds(backend, { lane: ['a', 'b'] })).toEqual([])
    })

    it('takes only the kinds of work that it names', async () => {
      const { backend, clock } = await open()
      const parked = await submitAndClaim(backend)
      await backend.delay(parked.handle, 0)
      const lost = await submitAndClaim(backend, {}, { kinds: ['fresh'] })
      await backend.revokeLease(lost.executionId)
      const fresh = await submit(backend)
      await clock.advance(1)
      const only = (kind: 'fresh' | 'resumed' | 'reclaimable') =>
        claimIds(backend, { kinds: [kind] })
      expect(await only('resumed')).toEqual([parked.executionId])
      expect(await only('resumed')).toEqual([])
      expect(await only('reclaimable')).toEqual([lost.executionId])
      expect(await only('reclaimable')).toEqual([])
      expect(await only('fresh')).toEqual([fresh])
    })

    it('skips work whose deadline has passed, and still fills its count', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const late = await Promise.all(
        Array.from({ length: 3 }, () => submit(backend, { deadlineMs: 10 })),
      )
      const good = [await submit(backend), await submit(backend)]
      await clock.advance(10)
      expect(await claimIds(backend, { count: 2 })).toEqual(good)
      for (const id of late) expect(await stateOf(backend, id)).toBe('terminal.expired')
    })

    it('counts attempts and epochs over retry, reclaim, delay and replay', async () => {
      const { backend, clock } = await open()
      const next = async () => {
        const { executionId, handle, epoch, attempt, attemptType } = await claimOne(backend)
        return { executionId, handle, epoch, seen: [handle.kind, attempt, attemptType] }
      }
      await submit(backend, { retry: { attempts: 2, delayMs: 1 } })
      const leases = [await next()]
      const last = () => leases.at(-1) ?? expect.fail('no lease')
      await backend.fail(last().handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      leases.push(await next())
      await clock.advance(30_000)
      leases.push(await next())
      await backend.delay(last().handle, 0)
      leases.push(await next())
      await backend.complete(last().handle)
      await backend.replayExecution(last().executionId)
      leases.push(await next())
      expect(leases.map(({ seen }) => seen)).toEqual([
        ['fresh', 0, 'initial'],
        ['fresh', 1, 'retry'],
        ['resumed', 2, 'reclaim'],
        ['resumed', 2, 'reclaim'],
        ['fresh', 3, 'replay'],
      ])
      const epochs = leases.map(({ epoch }) => epoch)
      expect(new Set(epochs).size).toBe(5)
      expect([...epochs].sort((a, b) => a - b)).toEqual(epochs)
      expect(await describeOne(backend, last().executionId)).toMatchObject({ totalAttempts: 4 })
    })

    it('mints epochs from the microseconds of the server, and above the last one', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend)
      expect(first.epoch).toBe(clock.nowMs() * 1000)
      await backend.delay(first.handle, 0)
      const second = await claimOne(backend)
      expect(second.epoch).toBe(first.epoch + 1)
      await backend.delay(second.handle, 0)
      await clock.advance(5)
      expect((await claimOne(backend)).epoch).toBe(clock.nowMs() * 1000)
    })

    it('never mints a smaller epoch, not even when the clock of the server goes back', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend)
      await backend.delay(first.handle, 0)
      await clock.set(clock.nowMs() - 1_000_000)
      expect((await claimOne(backend)).epoch).toBeGreaterThan(first.epoch)
    })
  })

  describe('claim with a lease id of its own', () => {
    it('finds its own leases again and changes nothing (W11)', async () => {
      const opened = await open()
      const { backend, clock } = opened
      await Promise.all(Array.from({ length: 40 }, () => submit(backend)))
      const first = await claimAll(backend, { leaseId: 'mine', count: 3 })
      expect(first).toHaveLength(3)
      await clock.advance(10)
      const again = await withoutTrace(opened, () =>
        claimAll(backend, { leaseId: 'mine', count: 3 }),
      )
      expect([...again].sort(byId)).toEqual([...first].sort(byId))
    })

    it('finds them through another connection too (W11)', async () => {
      const { backend, peer } = await open()
      await Promise.all(Array.from({ length: 40 }, () => submit(backend)))
      const first = await claimOne(backend, { leaseId: 'mine' })
      const other = await peer()
      expect(await claimOne(other.backend, { leaseId: 'mine' })).toEqual(first)
    })

    it('finds a granted lease even when there is older work now', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend, {}, { leaseId: 'mine' })
      await submit(backend, { priority: 9000 })
      await clock.advance(1)
      expect(await claimOne(backend, { leaseId: 'mine' })).toEqual(first)
    })

    it('finds new work once its lease was given back', async () => {
      const { backend } = await open()
      const first = await submitAndClaim(backend, {}, { leaseId: 'mine' })
      await backend.complete(first.handle)
      const second = await submit(backend)
      expect(await claimIds(backend, { leaseId: 'mine' })).toEqual([second])
    })

    it('is not handed a lease that has run out meanwhile', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend, {}, { leaseId: 'mine', leaseMs: 1000 })
      await clock.advance(1000)
      const again = await claimOne(backend, { leaseId: 'mine', leaseMs: 1000 })
      expect(again.expiresAtMs).toBe(clock.nowMs() + 1000)
      expect(again.epoch).toBeGreaterThan(first.epoch)
    })
  })
}

function byId(a: { executionId: string }, b: { executionId: string }): number {
  return a.executionId < b.executionId ? -1 : 1
}
