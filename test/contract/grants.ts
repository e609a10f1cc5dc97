// Grants: one execution reserved for one worker, for a moment.
import { describe, expect, it } from 'vitest'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  claimIds,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'
import { bring, reachableLeaves } from '../support/leaves.ts'

const mine = { worker: 'mine' }
const theirs = { worker: 'theirs' }

/** Interrupted work and a grant for it. */
async function grantedResumed({ backend }: OpenedBackend, grantMs = 5000) {
  const first = await submitAndClaim(backend)
  await backend.delay(first.handle, 0)
  const grant = await backend.issueClaimGrant(first.executionId, { ...mine, grantMs })
  return { first, grant, id: first.executionId }
}

/** Work that lost its lease and a grant for it. */
async function grantedLost({ backend }: OpenedBackend, grantMs = 5000) {
  const first = await submitAndClaim(backend)
  await backend.revokeLease(first.executionId)
  const grant = await backend.issueReclaimGrant(first.executionId, { ...mine, grantMs })
  return { first, grant, id: first.executionId }
}

export function describeGrants(open: Open): void {
  describe('a claim grant', () => {
    it('reserves work for one worker until it lapses', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend)
      const grant = await backend.issueClaimGrant(id, { ...mine, grantMs: 1000 })
      expect(grant).toEqual({
        executionId: id,
        lane: 'lane',
        grantId: expect.any(String),
        worker: 'mine',
        expiresAtMs: clock.nowMs() + 1000,
      })
      expect(await stateOf(backend, id)).toBe('runnable.ready')
      await clock.advance(999)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('lasts five seconds unless told otherwise', async () => {
      const { backend, clock } = await open()
      const grant = await backend.issueClaimGrant(await submit(backend), mine)
      expect(grant.expiresAtMs).toBe(clock.nowMs() + 5000)
    })

    it('does not hold up the work behind it (W27)', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const reserved = []
      for (let round = 0; round < 5; round++) reserved.push(await submit(backend))
      for (const id of reserved) await backend.issueClaimGrant(id, mine)
      await clock.advance(1)
      const behind = await submit(backend)
      expect(await claimIds(backend, { count: 1 })).toEqual([behind])
    })

    it('is the same grant when the same worker asks again', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const id = await submit(backend)
      const grant = await backend.issueClaimGrant(id, mine)
      await clock.advance(10)
      expect(await withoutTrace(opened, () => backend.issueClaimGrant(id, mine))).toEqual(grant)
    })

    it('excludes other workers until it lapses', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const id = await submit(backend)
      const { expiresAtMs } = await backend.issueClaimGrant(id, { ...mine, grantMs: 1000 })
      const ask = () => backend.issueClaimGrant(id, theirs)
      const details = { expires_at: String(expiresAtMs) }
      await refusedWithoutTrace(opened, ask, 'grant_already_exists', details)
      await clock.advance(1000)
      expect(await ask()).toMatchObject({ worker: 'theirs', expiresAtMs: clock.nowMs() + 5000 })
    })

    it('is only for a worker that can do the work, and names what is missing', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend, { capabilities: ['c', 'a', 'b'] })
      const ask = (capabilities: string[]) => () =>
        backend.issueClaimGrant(id, { ...mine, capabilities })
      await refusedWithoutTrace(opened, ask(['b', 'A']), 'capability_mismatch', { missing: 'a,c' })
      await ask(['d', 'c', 'b', 'a'])()
    })

    it.each(reachableLeaves)('for work that is %s', async (leaf) => {
      const opened = await open()
      const { id } = await bring(opened, leaf)
      const ask = () => opened.backend.issueClaimGrant(id, mine)
      if (leaf === 'runnable.ready' || leaf === 'runnable.resumed') await ask()
      else await refusedWithoutTrace(opened, ask, 'execution_not_eligible', { state: leaf })
    })

    it('is not issued in a paused lane', async () => {
      const opened = await open()
      const id = await submit(opened.backend)
      await opened.backend.pauseLane('lane')
      const ask = () => opened.backend.issueClaimGrant(id, mine)
      await refusedWithoutTrace(opened, ask, 'execution_not_eligible')
    })

    it('keeps operators from blocking the work, until it lapses (W15)', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const id = await submit(backend)
      await backend.issueClaimGrant(id, { ...mine, grantMs: 1000 })
      const block = () => backend.blockExecution(id, 'reason')
      await refusedWithoutTrace(opened, block, 'execution_not_eligible')
      await clock.advance(1000)
      await block()
      expect(await stateOf(backend, id)).toBe('runnable.blocked')
    })

    it('ends with the execution', async () => {
      const opened = await open()
      const { grant, id } = await grantedResumed(opened)
      await opened.backend.cancelExecution(id, 'over')
      const use = () => opened.backend.claimResumedExecution({ grant })
      await refusedWithoutTrace(opened, use, 'execution_not_leaseable')
    })
  })

  describe('claimResumedExecution', () => {
    it('continues the interrupted attempt under a new lease', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { first, grant } = await grantedResumed(opened)
      const second = await backend.claimResumedExecution({ grant, leaseMs: 7000 })
      expect(second).toMatchObject({
        executionId: first.executionId,
        attempt: 0,
        attemptType: 'initial',
        leaseMs: 7000,
        expiresAtMs: clock.nowMs() + 7000,
        handle: { kind: 'resumed' },
      })
      expect(second.epoch).toBeGreaterThan(first.epoch)
      expect((await describeOne(backend, first.executionId)).currentLease?.worker).toBe('mine')
      await backend.complete(second.handle)
    })

    it('is answered alike when it is repeated, and changes nothing (W11)', async () => {
      const opened = await open()
      const { grant } = await grantedResumed(opened)
      const use = () => opened.backend.claimResumedExecution({ grant })
      const first = await use()
      expect(await withoutTrace(opened, use)).toEqual(first)
    })

    it('does not find what is not there', async () => {
      const opened = await open()
      const { grant, id } = await grantedResumed(opened)
      await opened.backend.cancelExecution(id, 'over')
      await opened.backend.purgeExecution(id)
      const use = () => opened.backend.claimResumedExecution({ grant })
      await refusedWithoutTrace(opened, use, 'execution_not_found')
    })

    it('is not for work without an interrupted attempt', async () => {
      const opened = await open()
      const { backend } = opened
      const grant = await backend.issueClaimGrant(await submit(backend), mine)
      const use = () => backend.claimResumedExecution({ grant })
      await refusedWithoutTrace(opened, use, 'not_a_resumed_execution')
    })

    it('is not for work that cannot be leased now', async () => {
      const opened = await open()
      const { backend } = opened
      const { grant } = await grantedLost(opened)
      const use = () => backend.claimResumedExecution({ grant })
      await refusedWithoutTrace(opened, use, 'execution_not_leaseable', {
        state: 'leased.revoked',
      })
    })

    it('is not for the grant of another worker, nor for an invented one (W47)', async () => {
      const opened = await open()
      const { backend } = opened
      const { grant } = await grantedResumed(opened)
      for (const other of [
        { ...grant, worker: 'theirs' },
        { ...grant, grantId: 'invented' },
      ]) {
        const use = () => backend.claimResumedExecution({ grant: other })
        await refusedWithoutTrace(opened, use, 'invalid_claim_grant')
      }
      expect(await backend.claimResumedExecution({ grant })).toMatchObject({ attempt: 0 })
    })

    it('is too late at the millisecond at which the grant lapses', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { grant, id } = await grantedResumed(opened, 1000)
      await clock.advance(1000)
      await refusal(backend.claimResumedExecution({ grant }), 'claim_grant_expired')
      await refusal(backend.claimResumedExecution({ grant }), 'invalid_claim_grant')
      expect(await claimIds(backend)).toEqual([id])
    })

    it('works until the last millisecond of the grant', async () => {
      const opened = await open()
      const { grant } = await grantedResumed(opened, 1000)
      await opened.clock.advance(999)
      expect(await opened.backend.claimResumedExecution({ grant })).toMatchObject({ attempt: 0 })
    })
  })

  describe('a reclaim grant', () => {
    it.each(reachableLeaves)('for work that is %s', async (leaf) => {
      const opened = await open()
      const { id } = await bring(opened, leaf)
      const ask = () => opened.backend.issueReclaimGrant(id, mine)
      if (leaf === 'leased.expired' || leaf === 'leased.revoked') await ask()
      else await refusedWithoutTrace(opened, ask, 'execution_not_reclaimable', { state: leaf })
    })

    it('notices by itself that the lease ran out', async () => {
      const { backend, clock } = await open()
      const { executionId } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(1000)
      expect(await backend.issueReclaimGrant(executionId, mine)).toMatchObject({ executionId })
    })

    it('keeps the work from the claims of others', async () => {
      const opened = await open()
      const { id } = await grantedLost(opened, 1000)
      expect(await claimIds(opened.backend)).toEqual([])
      await opened.clock.advance(1000)
      expect(await claimIds(opened.backend)).toEqual([id])
    })
  })

  describe('claimFromReclaim', () => {
    it('starts a new attempt under a new lease', async () => {
      const opened = await open()
      const { first, grant, id } = await grantedLost(opened)
      const second = await opened.backend.claimFromReclaim({ grant, leaseId: 'own' })
      expect(second).toMatchObject({
        executionId: id,
        attempt: 1,
        attemptType: 'reclaim',
        handle: { kind: 'resumed' },
      })
      expect(second?.epoch).toBeGreaterThan(first.epoch)
      await refusal(opened.backend.renew(first.handle), 'stale_lease')
    })

    it('is answered alike when it is repeated, and changes nothing (W11)', async () => {
      const opened = await open()
      const { grant } = await grantedLost(opened)
      const use = () => opened.backend.claimFromReclaim({ grant })
      const first = await use()
      expect(first).toBeDefined()
      expect(await withoutTrace(opened, use)).toEqual(first)
    })

    it('finds nothing with a grant of another worker, or an invented one (W23)', async () => {
      const opened = await open()
      const { backend } = opened
      const { grant, id } = await grantedLost(opened)
      for (const other of [
        { ...grant, worker: 'theirs' },
        { ...grant, grantId: 'invented' },
      ]) {
        const use = () => backend.claimFromReclaim({ grant: other })
        expect(await withoutTrace(opened, use)).toBeUndefined()
      }
      expect(await stateOf(backend, id)).toBe('leased.revoked')
    })

    it('finds nothing once the grant has lapsed (W23)', async () => {
      const opened = await open()
      const { grant } = await grantedLost(opened, 1000)
      await opened.clock.advance(1000)
      expect(await opened.backend.claimFromReclaim({ grant })).toBeUndefined()
    })

    it('finds nothing when the work needs nobody any more', async () => {
      const opened = await open()
      const { backend } = opened
      const { grant, id } = await grantedLost(opened)
      await backend.cancelExecution(id, 'over')
      expect(await backend.claimFromReclaim({ grant })).toBeUndefined()
      await backend.purgeExecution(id)
      expect(await backend.claimFromReclaim({ grant })).toBeUndefined()
    })

    it('finds nothing when somebody else was quicker', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { grant, id } = await grantedLost(opened, 1000)
      await clock.advance(1000)
      expect(await claimIds(backend)).toEqual([id])
      expect(await withoutTrace(opened, () => backend.claimFromReclaim({ grant }))).toBeUndefined()
    })
  })
}
