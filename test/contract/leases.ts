// Leases: renewing, running out, being revoked, and the work being reclaimed.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimAll,
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'

export function describeLeases(open: Open): void {
  describe('renew', () => {
    it('extends the lease by its own length and keeps the epoch', async () => {
      const { backend, clock } = await open()
      const { epoch, executionId, handle } = await submitAndClaim(backend, {}, { leaseMs: 2000 })
      await clock.advance(1500)
      const expiresAtMs = clock.nowMs() + 2000
      expect(await backend.renew(handle)).toEqual({ expiresAtMs, epoch })
      expect((await describeOne(backend, executionId)).currentLease).toMatchObject({
        epoch,
        expiresAtMs,
      })
    })

    it('keeps the work out of reach of others until the new end (W49)', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs: 2000 })
      await clock.advance(1999)
      await backend.renew(handle)
      await clock.advance(1999)
      expect(await claimIds(backend)).toEqual([])
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('leased.held')
      await clock.advance(1)
      expect(await claimIds(backend)).toEqual([executionId])
    })

    it('never shortens a lease, not even when the clock of the server goes back', async () => {
      const { backend, clock } = await open()
      const { expiresAtMs, handle } = await submitAndClaim(backend)
      await clock.set(clock.nowMs() - 10_000)
      expect((await backend.renew(handle)).expiresAtMs).toBe(expiresAtMs)
    })

    it('can be repeated', async () => {
      const opened = await open()
      const { handle } = await submitAndClaim(opened.backend)
      const first = await opened.backend.renew(handle)
      expect(await withoutTrace(opened, () => opened.backend.renew(handle))).toEqual(first)
    })

    it('gives each lease of a bulk its own outcome', async () => {
      const { backend, clock } = await open()
      const short = await submitAndClaim(backend, {}, { leaseMs: 100 })
      const long = await submitAndClaim(backend, {}, { leaseMs: 5000 })
      const revoked = await submitAndClaim(backend, {}, { leaseMs: 5000 })
      await backend.revokeLease(revoked.executionId)
      await clock.advance(100)
      const broken = { ...long.handle, opaque: 'nonsense' }
      const handles = [short.handle, long.handle, broken, revoked.handle]
      expect(await backend.renewMany(handles)).toMatchObject([
        { outcome: 'refused', error: { code: 'lease_expired' } },
        { outcome: 'renewed', epoch: long.epoch, expiresAtMs: clock.nowMs() + 5000 },
        { outcome: 'refused', error: { code: 'invalid_handle' } },
        { outcome: 'refused', error: { code: 'lease_revoked' } },
      ])
      expect(await backend.renewMany([])).toEqual([])
    })
  })

  describe('a lease that runs out', () => {
    it('lets the next claim reclaim the work at that very millisecond (W42)', async () => {
      const { backend, clock } = await open()
      const first = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(999)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      const second = await claimOne(backend, { worker: 'other' })
      expect(second).toMatchObject({
        executionId: first.executionId,
        attempt: 1,
        attemptType: 'reclaim',
        handle: { kind: 'resumed' },
      })
      expect(second.epoch).toBeGreaterThan(first.epoch)
      expect(await describeOne(backend, first.executionId)).toMatchObject({
        reclaims: 1,
        retries: 0,
        totalAttempts: 2,
        currentLease: { worker: 'other' },
        endedAttempts: [{ attempt: 0, type: 'initial', epoch: first.epoch, how: 'expired' }],
      })
    })

    it('does not keep others from being noticed, however many they are (W2, W41)', async () => {
      const { backend, clock } = await open()
      const ids = await Promise.all(Array.from({ length: 200 }, () => submit(backend)))
      await claimAll(backend, { leaseMs: 1000 })
      await clock.advance(1000)
      const found = new Set<string>()
      for (let round = 0; round < 200 && found.size < ids.length; round++) {
        for (const id of await claimIds(backend, { count: 20 })) found.add(id)
      }
      expect([...found].sort()).toEqual([...ids].sort())
    })

    it('shows as no lease', async () => {
      const { backend, clock } = await open()
      const { executionId } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'leased.expired',
        publicState: 'active',
        currentLease: undefined,
      })
    })

    it('gives the reclaimed attempt its full time (W8)', async () => {
      const { backend, clock } = await open()
      const timed = { attemptTimeoutMs: 5000 }
      const { executionId } = await submitAndClaim(backend, timed, { leaseMs: 1000 })
      await clock.advance(1000)
      const second = await claimOne(backend, { leaseMs: 60_000 })
      expect(second.attemptDeadlineAtMs).toBe(clock.nowMs() + 5000)
      // The first attempt would have timed out here.
      await clock.advance(4999)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('leased.held')
      await clock.advance(1)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('terminal.expired')
    })
  })

  describe('revokeLease', () => {
    it('takes the lease away and lets the next claim reclaim the work (W3)', async () => {
      const { backend } = await open()
      const { epoch, executionId } = await submitAndClaim(backend)
      expect(await backend.revokeLease(executionId)).toEqual({ outcome: 'revoked', epoch })
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'leased.revoked',
        publicState: 'active',
        currentLease: undefined,
      })
      expect(await claimOne(backend)).toMatchObject({ executionId, attemptType: 'reclaim' })
      expect((await describeOne(backend, executionId)).endedAttempts).toMatchObject([
        { attempt: 0, how: 'revoked' },
      ])
    })

    it.each(['leased.revoked', 'leased.expired'])(
      'is no surprise when the lease is lost already: %s',
      async (state) => {
        const opened = await open()
        const { backend, clock } = opened
        const { executionId } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
        if (state === 'leased.revoked') await backend.revokeLease(executionId)
        else await clock.advance(1000).then(() => sweepAll(backend))
        expect(await withoutTrace(opened, () => backend.revokeLease(executionId))).toEqual({
          outcome: 'already_lost',
          state,
        })
      },
    )

    it('notices by itself that the lease ran out before', async () => {
      const { backend, clock } = await open()
      const { executionId } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(1000)
      expect(await backend.revokeLease(executionId)).toEqual({
        outcome: 'already_lost',
        state: 'leased.expired',
      })
    })

    it('spares a lease that is not the expected one', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId } = await submitAndClaim(backend, {}, { leaseId: 'first' })
      await backend.revokeLease(executionId)
      const second = await claimOne(backend, { leaseId: 'second' })
      await refusedWithoutTrace(
        opened,
        () => backend.revokeLease(executionId, 'first.1'),
        'stale_lease',
      )
      expect(await backend.revokeLease(executionId, 'second.1')).toEqual({
        outcome: 'revoked',
        epoch: second.epoch,
      })
    })

    it('does not find what is not there', async () => {
      const { backend } = await open()
      const id = await submit(backend)
      await backend.cancelExecution(id, 'over')
      await backend.purgeExecution(id)
      await refusal(backend.revokeLease(id), 'execution_not_found')
    })
  })

  describe('the number of reclaims', () => {
    it.each(['expired', 'revoked'])('ends work that is %s too often', async (how) => {
      const { backend, clock } = await open()
      const id = await submit(backend, { reclaimsMax: 2 })
      const lose = async () => {
        await claimOne(backend, { leaseMs: 1000 })
        if (how === 'revoked') await backend.revokeLease(id)
        else await clock.advance(1000).then(() => sweepAll(backend))
      }
      await lose()
      await lose()
      expect(await describeOne(backend, id)).toMatchObject({ state: `leased.${how}`, reclaims: 1 })
      await lose()
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'terminal.failed',
        reason: 'max_reclaims_exceeded',
        failureClass: undefined,
        reclaims: 2,
        totalAttempts: 3,
        currentLease: undefined,
        endedAtMs: clock.nowMs(),
      })
      expect(await backend.watch(id)).toEqual({
        outcome: 'failed',
        reason: 'max_reclaims_exceeded',
        failureClass: undefined,
        failure: undefined,
      })
      expect(await claimIds(backend)).toEqual([])
    })

    it('may be none at all', async () => {
      const { backend, clock } = await open()
      const { handle, executionId } = await submitAndClaim(
        backend,
        { reclaimsMax: 0 },
        { leaseMs: 100 },
      )
      await clock.advance(100)
      await refusal(backend.renew(handle), 'execution_not_active', { state: 'terminal.failed' })
      expect(await stateOf(backend, executionId)).toBe('terminal.failed')
    })

    it('is a hundred by default', async () => {
      const { backend } = await open()
      const id = await submit(backend)
      for (let round = 0; round < 100; round++) {
        await claimOne(backend)
        await backend.revokeLease(id)
      }
      await claimOne(backend)
      await backend.revokeLease(id)
      const snapshot = await describeOne(backend, id)
      expect(snapshot).toMatchObject({ state: 'terminal.failed', reclaims: 100 })
      expect(snapshot.endedAttempts.map(({ attempt }) => attempt)).toEqual(
        Array.from({ length: 100 }, (_, attempt) => attempt),
      )
    })
  })
}
