// Sweeping: what it does when nobody claims, and how long ended executions are kept.
import { describe, expect, it } from 'vitest'
import type { Submission } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  claimAll,
  claimIds,
  claimOne,
  stateOf,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import { bring } from '../support/leaves.ts'

const day = 86_400_000

export function describeRetention(open: Open): void {
  describe('sweep', () => {
    it('does what is due: delays, retries, leases, timeouts, deadlines and grants', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const delayed = await submit(backend, { lane: 'a', delayMs: 10 })
      const retried = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 10 } })
      await backend.fail(retried.handle, { message: 'oops' }, 'transient')
      const lost = await submitAndClaim(backend, { lane: 'c' }, { leaseMs: 100 })
      const timed = await submitAndClaim(backend, { lane: 'd', attemptTimeoutMs: 10 })
      const late = await submit(backend, { lane: 'e', deadlineMs: 10 })
      const blocked = await submit(backend, { lane: 'f', deadlineMs: 10 })
      await backend.blockExecution(blocked, 'reason')
      await clock.advance(100)
      await sweepAll(backend)
      const states = await Promise.all(
        [delayed, retried.executionId, lost.executionId, timed.executionId, late, blocked].map(
          (id) => stateOf(backend, id),
        ),
      )
      expect(states).toEqual([
        'runnable.ready',
        'runnable.ready',
        'leased.expired',
        'terminal.expired',
        'terminal.expired',
        'terminal.expired',
      ])
    })

    it('changes nothing when nothing is due, and nothing the second time', async () => {
      const opened = await open()
      const { backend, clock } = opened
      await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await submit(backend, { delayMs: 500 })
      await withoutTrace(opened, () => sweepAll(backend))
      await clock.advance(1000)
      await sweepAll(backend)
      await withoutTrace(opened, () => sweepAll(backend))
    })

    it('is answered with how much it did and how long there is nothing to do', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      expect(await backend.sweep(0)).toEqual({ promoted: 0, purged: 0, nextInMs: undefined })
      await submit(backend, { delayMs: 400 })
      await submit(backend, { delayMs: 300 })
      await submitAndClaim(backend, { lane: 'other' }, { leaseMs: 1000 })
      await submit(backend, { deadlineMs: 2000 })
      const ended = await submit(backend, { lane: 'ended', retentionMs: 5000 })
      await backend.cancelExecution(ended, 'over')
      const next = async (advanceMs: number) => {
        await clock.advance(advanceMs)
        return backend.sweep(0)
      }
      expect(await next(0)).toEqual({ promoted: 0, purged: 0, nextInMs: 300 })
      expect(await next(400)).toEqual({ promoted: 2, purged: 0, nextInMs: 600 })
      expect(await next(600)).toEqual({ promoted: 1, purged: 0, nextInMs: 1000 })
      expect(await next(1000)).toEqual({ promoted: 1, purged: 0, nextInMs: 3000 })
      expect(await next(3000)).toMatchObject({ promoted: 0, purged: 1 })
    })

    it('does no more than it is told to, and goes on the next time', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const gone = { delayMs: 10, deadlineMs: 20, retentionMs: 0 }
      await Promise.all(Array.from({ length: 5 }, () => submit(backend, gone)))
      await clock.advance(20)
      const answers = []
      for (let round = 0; round < 4; round++) answers.push(await backend.sweep(0, 2))
      expect(answers.map(({ promoted }) => promoted)).toEqual([2, 2, 1, 0])
      expect(answers.reduce((sum, { purged }) => sum + purged, 0)).toBe(5)
      expect((await backend.listExecutions(0, undefined, 10)).items).toEqual([])
    })

    it('races with itself without harm', async () => {
      const { backend, clock, peer } = await open()
      const other = (await peer()).backend
      const ids = await Promise.all(
        Array.from({ length: 30 }, () => submit(backend, { delayMs: 10 })),
      )
      await clock.advance(10)
      await Promise.all([sweepAll(backend), sweepAll(other), sweepAll(backend)])
      expect([...(await claimIds(backend))].sort()).toEqual([...ids].sort())
    })
  })

  describe('retention', () => {
    const ended = async (opened: Awaited<ReturnType<Open>>, submission: Partial<Submission>) => {
      const id = await submit(opened.backend, submission)
      await opened.backend.cancelExecution(id, 'over')
      return id
    }
    const isKept = async ({ backend }: Awaited<ReturnType<Open>>, id: string) => {
      await sweepAll(backend)
      return (await backend.describeExecution(id)) !== undefined
    }

    it.each<[string, Submission['retentionMs'], number]>([
      ['a day by default', undefined, day],
      ['as long as the submission says', 1000, 1000],
    ])('lasts %s', async (_what, retentionMs, lastsMs) => {
      const opened = await open()
      const id = await ended(opened, { retentionMs })
      await opened.clock.advance(lastsMs - 1)
      expect(await isKept(opened, id)).toBe(true)
      await opened.clock.advance(1)
      expect(await isKept(opened, id)).toBe(false)
    })

    it('may be nothing at all', async () => {
      const opened = await open()
      const id = await ended(opened, { retentionMs: 0 })
      expect(await isKept(opened, id)).toBe(false)
    })

    it('may be for ever, as far as anybody can see', async () => {
      const opened = await open()
      const id = await ended(opened, { retentionMs: 'forever' })
      await opened.clock.advance(36_499 * day)
      expect(await isKept(opened, id)).toBe(true)
    })

    it('of long-lived executions does not hold up the others (W41)', async () => {
      const opened = await open({ partitions: 1 })
      for (let round = 0; round < 10; round++) await ended(opened, { retentionMs: 'forever' })
      const short = await ended(opened, { retentionMs: 1000 })
      await opened.clock.advance(1000)
      expect(await opened.backend.sweep(0, 1)).toMatchObject({ purged: 1 })
      expect(await opened.backend.describeExecution(short)).toBeUndefined()
    })

    it('spares work that was replayed, and counts anew from its next end (W12)', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const id = await ended(opened, { retentionMs: 1000 })
      await clock.advance(999)
      await backend.replayExecution(id)
      await clock.advance(1)
      expect(await isKept(opened, id)).toBe(true)
      await backend.complete((await claimOne(backend)).handle)
      await clock.advance(999)
      expect(await isKept(opened, id)).toBe(true)
      await clock.advance(1)
      expect(await isKept(opened, id)).toBe(false)
    })

    it('never ends for unfinished work', async () => {
      const opened = await open()
      const { id } = await bring(opened, 'runnable.blocked')
      await opened.clock.advance(1000 * day)
      expect(await isKept(opened, id)).toBe(true)
    })

    it('ends for as many as there are', async () => {
      const opened = await open()
      const { backend, clock } = opened
      await Promise.all(Array.from({ length: 250 }, () => submit(backend, { retentionMs: 1000 })))
      const claimed = await claimAll(backend)
      await Promise.all(claimed.map(({ handle }) => backend.complete(handle)))
      await clock.advance(1000)
      for (let round = 0; round < 3; round++) await sweepAll(backend)
      for (const partition of backend.partitions) {
        expect((await backend.listExecutions(partition, undefined, 10)).items).toEqual([])
      }
    })
  })
}
