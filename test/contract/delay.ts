// Parking: a worker hands its attempt back until a time and somebody continues it then.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
} from '../support/executions.ts'

const delayAheadMs = 366 * 86_400_000

export function describeDelay(open: Open): void {
  describe('delay', () => {
    it('parks work until its time and continues the same attempt under a new lease', async () => {
      const { backend, clock } = await open()
      const startedAtMs = clock.nowMs()
      const first = await submitAndClaim(backend)
      await backend.progress(first.handle, 40, 'so far')
      expect(await backend.delay(first.handle, startedAtMs + 1000)).toEqual({
        outcome: 'delayed',
        replayed: false,
      })
      expect(await describeOne(backend, first.executionId)).toMatchObject({
        state: 'delayed.parked',
        publicState: 'delayed',
        startsAtMs: startedAtMs + 1000,
        currentLease: undefined,
        totalAttempts: 1,
      })
      await clock.advance(999)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      const second = await claimOne(backend, { worker: 'other' })
      expect(second).toMatchObject({
        executionId: first.executionId,
        attempt: 0,
        attemptType: 'initial',
        handle: { kind: 'resumed' },
      })
      expect(second.epoch).toBeGreaterThan(first.epoch)
      expect(await describeOne(backend, first.executionId)).toMatchObject({
        state: 'leased.held',
        startsAtMs: undefined,
        totalAttempts: 1,
        retries: 0,
        reclaims: 0,
        currentAttempt: { attempt: 0, startedAtMs },
        currentLease: { worker: 'other' },
        progress: { percent: 40, message: 'so far' },
        endedAttempts: [],
      })
      await refusal(backend.renew(first.handle), 'stale_lease')
    })

    it.each([
      ['now', 0],
      ['long ago', -1_000_000],
    ])('hands work back at once when its time is %s (W19)', async (_what, aheadMs) => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.delay(handle, clock.nowMs() + aheadMs)
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'runnable.resumed',
        startsAtMs: undefined,
      })
      expect(await claimOne(backend)).toMatchObject({ executionId, attempt: 0 })
    })

    it('parks work for up to a year and a day, and no longer', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { handle } = await submitAndClaim(backend)
      const latestMs = clock.nowMs() + delayAheadMs
      await refusedWithoutTrace(opened, () => backend.delay(handle, latestMs + 1), 'invalid_input')
      expect(await backend.delay(handle, latestMs)).toMatchObject({ outcome: 'delayed' })
      expect(await backend.delay(handle, latestMs)).toMatchObject({ replayed: true })
    })

    it('keeps the order of the work: parked work does not lose its place', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const { executionId, handle } = await submitAndClaim(backend)
      await clock.advance(1)
      const younger = await submit(backend)
      await backend.delay(handle, 0)
      expect(await claimIds(backend)).toEqual([executionId, younger])
    })

    it('stops the clock of the attempt, not that of the deadline', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend, { attemptTimeoutMs: 1000, deadlineMs: 10_000 })
      await clock.advance(400)
      await backend.delay(first.handle, clock.nowMs() + 5000)
      await clock.advance(5000)
      const second = await claimOne(backend)
      expect(second.attemptDeadlineAtMs).toBe(clock.nowMs() + 600)
      await backend.delay(second.handle, clock.nowMs() + 9000)
      await clock.advance(4600)
      expect(await claimIds(backend)).toEqual([])
      await backend.sweep(Number(first.executionId.split('-')[0]))
      expect(await stateOf(backend, first.executionId)).toBe('terminal.expired')
    })

    it('gives the next attempt its full time again', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend, {
        attemptTimeoutMs: 1000,
        retry: { attempts: 2, delayMs: 1 },
      })
      await clock.advance(400)
      await backend.delay(first.handle, 0)
      const second = await claimOne(backend)
      await backend.fail(second.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      expect((await claimOne(backend)).attemptDeadlineAtMs).toBe(clock.nowMs() + 1000)
    })

    it('survives being blocked meanwhile', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.delay(handle, clock.nowMs() + 1000)
      await backend.blockExecution(executionId, 'reason')
      await clock.advance(500)
      await backend.unblockExecution(executionId, 'reason')
      expect(await stateOf(backend, executionId)).toBe('delayed.parked')
      await backend.blockExecution(executionId, 'reason')
      await clock.advance(500)
      expect(await claimIds(backend)).toEqual([])
      await backend.unblockExecution(executionId, 'reason')
      expect(await claimOne(backend)).toMatchObject({ attempt: 0, handle: { kind: 'resumed' } })
    })

    it('can be repeated by each new holder', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend)
      for (let round = 0; round < 5; round++) {
        const { attempt, handle } = await claimOne(backend)
        expect(attempt).toBe(0)
        await backend.delay(handle, clock.nowMs() + 10)
        await clock.advance(10)
      }
      expect(await describeOne(backend, id)).toMatchObject({ totalAttempts: 1, retries: 0 })
    })

    it('makes a new attempt when the lease of the continued one is lost', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend)
      await backend.delay(first.handle, 0)
      await claimOne(backend, { leaseMs: 1000 })
      await clock.advance(1000)
      expect(await claimOne(backend)).toMatchObject({ attempt: 1, attemptType: 'reclaim' })
    })

    it('ends with the execution when that is cancelled (W9)', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.delay(handle, clock.nowMs() + 1000)
      await backend.cancelExecution(executionId, 'over')
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'terminal.cancelled',
        startsAtMs: undefined,
        currentLease: undefined,
      })
      await clock.advance(1000)
      expect(await claimIds(backend)).toEqual([])
    })
  })
}
