// Leases that are taken away: whoever holds one is told at once, and of nothing else.
import { describe, expect, it } from 'vitest'
import type { LostLease } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { claimAll, submit, submitAndClaim, sweepAll } from '../support/executions.ts'
import { approval, openSigning } from '../support/suspensions.ts'

/** What a process of its own is told of lost leases. */
async function listening({ peer }: OpenedBackend) {
  const told: LostLease[] = []
  let wake = () => {}
  const { backend } = await peer()
  await backend.onLeaseLost((lost) => {
    // A cluster is asked to look at everything again now and then.
    if (lost !== undefined) told.push(lost)
    wake()
  })
  return {
    told,
    /** Resolves with everything that was told, once it is so many. */
    async count(count: number): Promise<readonly LostLease[]> {
      while (told.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return told
    },
  }
}

const timeOnce = { attemptTimeoutMs: 100 }

export function describeLosses(open: Open): void {
  describe('a lost lease', () => {
    it.each<[string, object, (opened: OpenedBackend, id: string) => Promise<unknown>]>([
      ['cancelExecution', {}, ({ backend }, id) => backend.cancelExecution(id, 'why')],
      ['revokeLease', {}, ({ backend }, id) => backend.revokeLease(id)],
      ['revokeLease', { reclaimsMax: 0 }, ({ backend }, id) => backend.revokeLease(id)],
      ['expire', { deadlineMs: 100 }, (opened) => later(opened)],
      ['timeOut', timeOnce, (opened) => later(opened)],
      [
        'timeOut',
        { ...timeOnce, retry: { attempts: 2, on: ['timeout'] } },
        (opened) => later(opened),
      ],
      ['loseLease', {}, (opened) => later(opened)],
      ['loseLease', { reclaimsMax: 0 }, (opened) => later(opened)],
    ])('is told to every process: %s, %j', async (event, submission, lose) => {
      const opened = await open()
      const ears = [await listening(opened), await listening(opened)]
      const { executionId, epoch } = await submitAndClaim(opened.backend, submission, {
        leaseMs: 500,
      })
      await lose(opened, executionId)
      for (const ear of ears) {
        expect(await ear.count(1)).toEqual([{ executionId, epoch, event }])
      }
    })

    it('is told by whatever call notices that its time is over', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const ear = await listening(opened)
      const { executionId, epoch, handle } = await submitAndClaim(backend, {}, { leaseMs: 500 })
      await clock.advance(500)
      await expect(backend.renew(handle)).rejects.toMatchObject({ code: 'lease_expired' })
      expect(await ear.count(1)).toEqual([{ executionId, epoch, event: 'loseLease' }])
    })

    it('is not told of when its holder gives it back', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const ear = await listening(opened)
      const held = async (submission = {}) => (await submitAndClaim(backend, submission)).handle
      const retried = { retry: { attempts: 2 } }
      await backend.complete(await held())
      await backend.fail(await held(), { message: 'no' }, 'transient')
      await backend.fail(await held(retried), { message: 'no' }, 'transient')
      await backend.cancel(await held(), 'why')
      await backend.delay(await held(), opened.clock.nowMs() + 1000)
      await backend.suspend(await held(), approval)
      const last = await submitAndClaim(backend)
      await backend.cancelExecution(last.executionId, 'why')
      // One channel keeps the order: whatever was told before would be here.
      expect((await ear.count(1)).map(({ executionId }) => executionId)).toEqual([last.executionId])
    })

    it('is none when nobody holds it', async () => {
      const opened = await open({ partitions: 1 })
      const { backend } = opened
      const ear = await listening(opened)
      await backend.cancelExecution(await submit(backend), 'why')
      await backend.cancelExecution(await submit(backend, { delayMs: 1000 }), 'why')
      const revoked = await submitAndClaim(backend)
      await backend.revokeLease(revoked.executionId)
      await backend.cancelExecution(revoked.executionId, 'why')
      const last = await submitAndClaim(backend)
      await backend.cancelExecution(last.executionId, 'why')
      expect((await ear.count(2)).map(({ event }) => event)).toEqual([
        'revokeLease',
        'cancelExecution',
      ])
    })

    it('is told of each of 1000, once', async () => {
      const opened = await open()
      const { backend } = opened
      const ear = await listening(opened)
      await Promise.all(Array.from({ length: 1000 }, () => submit(backend)))
      const claimed: LostLease[] = []
      while (claimed.length < 1000) {
        for (const { executionId, epoch } of await claimAll(backend)) {
          claimed.push({ executionId, epoch, event: 'cancelExecution' })
        }
      }
      await Promise.all(
        claimed.map(({ executionId }) => backend.cancelExecution(executionId, 'why')),
      )
      const byId = (a: LostLease, b: LostLease) => (a.executionId < b.executionId ? -1 : 1)
      expect([...(await ear.count(1000))].sort(byId)).toEqual(claimed.sort(byId))
    })

    it('says by its refusal why it was cancelled', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.cancelExecution(executionId, 'not needed: “ü”')
      await expect(backend.renew(handle)).rejects.toMatchObject({
        code: 'execution_not_active',
        details: {
          state: 'terminal.cancelled',
          reason: 'cancelled_by_operator',
          message: 'not needed: “ü”',
        },
      })
    })
  })
}

/** Lets every time pass that the work has. */
async function later(opened: OpenedBackend): Promise<void> {
  await opened.clock.advance(500)
  await sweepAll(opened.backend)
}
