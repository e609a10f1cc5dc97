// Suspending: the lease is given back until signals come, or kept when they have come already.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  forged,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import {
  approval,
  idOf,
  openSigning,
  satisfiedBy,
  send,
  suspendClaimed,
  suspended,
  suspendedBy,
} from '../support/suspensions.ts'

const _skewMs = 600_000

export function describeSuspend(open: Open): void {
  describe('suspend', () => {
    it('gives the lease back and says what it waits for', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend)
      await clock.advance(5)
      const outcome = suspendedBy(
        await backend.suspend(first.handle, approval, {
          timeoutMs: 1000,
          onTimeout: 'escalate',
          reason: 'waiting_for_approval',
          pointer: 'step 7: größe\n',
        }),
      )
      expect(outcome).toMatchObject({ timeoutAtMs: clock.nowMs() + 1000, replayed: false })
      expect(outcome.handle.kind).toBe('suspended')
      const [waitpoint] = outcome.waitpoints
      expect(waitpoint).toMatchObject({ key: 'approval' })
      expect(await describeOne(backend, first.executionId)).toMatchObject({
        state: 'suspended',
        publicState: 'suspended',
        currentLease: undefined,
        totalAttempts: 1,
        suspension: {
          suspensionId: outcome.suspensionId,
          reason: 'waiting_for_approval',
          suspendedAtMs: clock.nowMs(),
          timeoutAtMs: clock.nowMs() + 1000,
          onTimeout: 'escalate',
          pointer: 'step 7: größe\n',
          signalCount: 0,
          waitpointIds: [waitpoint?.waitpointId],
          closedAtMs: undefined,
          closeReason: undefined,
        },
      })
      await clock.advance(999)
      await sweepAll(backend)
      expect(await claimIds(backend)).toEqual([])
    })

    it('waits for ever when no time is given', async () => {
      const opened = await openSigning(open)
      const { id } = await suspended(opened)
      await opened.clock.advance(3000 * 86_400_000)
      await sweepAll(opened.backend)
      expect(await stateOf(opened.backend, id)).toBe('suspended')
    })

    it('is resumed by a signal and goes on in the same attempt (S-C1)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, claimed, token, outcome } = await suspended(opened)
      await clock.advance(10)
      expect(await send(opened, token)).toBe('resume_condition_satisfied')
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'runnable.resumed',
        publicState: 'waiting',
        suspension: {
          suspensionId: outcome.suspensionId,
          closedAtMs: clock.nowMs(),
          closeReason: 'resumed',
          signalCount: 1,
        },
      })
      const again = await claimOne(backend, { worker: 'other' })
      expect(again).toMatchObject({
        executionId: id,
        attempt: 0,
        attemptType: 'initial',
        handle: { kind: 'resumed' },
      })
      expect(again.epoch).toBeGreaterThan(claimed.epoch)
      expect(await describeOne(backend, id)).toMatchObject({
        totalAttempts: 1,
        retries: 0,
        reclaims: 0,
        currentAttempt: { attempt: 0 },
        endedAttempts: [],
      })
      await backend.complete(again.handle)
    })

    it('can be done again and again in one attempt', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      let claimed = await submitAndClaim(backend)
      for (let round = 0; round < 5; round++) {
        const { token } = await suspendClaimed(opened, claimed)
        await send(opened, token, { name: `round-${round}` })
        claimed = await claimOne(backend)
        expect(claimed.attempt).toBe(0)
        expect((await backend.observeSignals(claimed.handle)).map(({ name }) => name)).toEqual([
          `round-${round}`,
        ])
      }
    })

    it('takes up to 64 waitpoints, each with its own token, and goes on with any', async () => {
      const opened = await openSigning(open)
      // The longest keys and the longest key id: as much as one call ever carries.
      await opened.backend.rotateSecret('k'.repeat(32), Buffer.from('secret'.repeat(9)))
      const keys = Array.from({ length: 64 }, (_, at) => `key-${at}`.padEnd(64, 'k'))
      const waitpoints = keys.map((key) => ({ key }))
      const { waitpoints: issued } = await suspended(opened, { waitpoints })
      expect(new Set(issued.map(({ token }) => token)).size).toBe(64)
      expect(issued.map(({ key }) => key)).toEqual(waitpoints.map(({ key }) => key))
      expect(await send(opened, issued[63]!.token)).toBe('resume_condition_satisfied')
      await refusal(opened.backend.deliverSignal({ token: issued[0]!.token }), 'waitpoint_closed')
    })
  })

  describe('suspend, again', () => {
    it('is answered alike and writes nothing, also with the same tokens', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const waitpoints = [{ key: 'a' }, { key: 'b', match: { names: ['yes'] } }]
      const call = () => backend.suspend(handle, waitpoints, { timeoutMs: 1000 })
      const first = suspendedBy(await call())
      await opened.clock.advance(10)
      expect(await withoutTrace(opened, call)).toEqual({ ...first, replayed: true })
      const { backend: other } = await opened.peer()
      const repeated = await other.suspend(handle, waitpoints, { timeoutMs: 1000 })
      expect(repeated).toEqual({ ...first, replayed: true })
    })

    it('is answered alike after the resumption, until somebody claims (S-W7)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { lease, token, outcome } = await suspended(opened)
      await send(opened, token)
      const call = () => backend.suspend(lease, approval)
      expect(await withoutTrace(opened, call)).toEqual({ ...outcome, replayed: true })
      await claimOne(backend)
      await refusedWithoutTrace(opened, call, 'stale_lease')
    })

    it('tells nobody else, and no later attempt, about an earlier suspension (S-W7)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { lease, id } = await suspended(opened)
      for (const [part, value] of [
        ['leaseId', 'guessed.1'],
        ['epoch', 1],
        ['attempt', 1],
      ] as const) {
        const call = () => backend.suspend(forged(lease, part, value), approval)
        await refusedWithoutTrace(opened, call, 'execution_not_active', { state: 'suspended' })
      }
      await backend.resumeExecution(id)
      const second = await claimOne(backend)
      const again = suspendedBy(await backend.suspend(second.handle, approval))
      expect(again.replayed).toBe(false)
      await refusal(backend.suspend(lease, approval), 'execution_not_active')
    })

    it('with other wishes is told that the lease was given back already', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { lease } = await suspended(opened)
      const others = [
        () => backend.suspend(lease, [{ key: 'other' }]),
        () => backend.suspend(lease, approval, { timeoutMs: 1 }),
        () => backend.complete(lease),
        () => backend.delay(lease, 0),
      ]
      for (const other of others) {
        await refusedWithoutTrace(opened, other, 'already_settled', { operation: 'suspend' })
      }
    })

    it('by the handle of the suspended execution is refused (S-W34)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { outcome, lease } = await suspended(opened)
      const { handle } = outcome
      await refusedWithoutTrace(
        opened,
        () => backend.suspend(handle, approval),
        'already_suspended',
      )
      // It proves no lease: nothing of the fence that was given back is in it.
      const [, , , leaseId, epoch] = lease.opaque.split('|') as string[]
      expect(handle.opaque).not.toContain(leaseId)
      expect(handle.opaque).not.toContain(epoch)
      const pretending = { ...handle, kind: 'resumed' as const }
      for (const call of [
        () => backend.renew(handle),
        () => backend.complete(handle),
        () => backend.createWaitpoint(handle, 'key'),
      ]) {
        await refusedWithoutTrace(opened, call, 'stale_lease')
      }
      await refusedWithoutTrace(opened, () => backend.renew(pretending), 'invalid_handle')
    })
  })

  describe('suspend on issued waitpoints', () => {
    it('keeps their tokens, and takes new ones beside them', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const issued = await backend.createWaitpoint(claimed.handle, 'early')
      const { waitpoints } = await suspendClaimed(opened, claimed, {
        waitpoints: [{ token: issued.token, key: 'one' }, { key: 'two' }],
        condition: {
          kind: 'all',
          of: [
            { kind: 'single', waitpoint: 'one' },
            { kind: 'single', waitpoint: 'two' },
          ],
        },
      })
      expect(waitpoints[0]).toMatchObject({ token: issued.token, waitpointId: issued.waitpointId })
      expect(await send(opened, issued.token)).toBe('appended_to_waitpoint')
      expect(await send(opened, waitpoints[1]!.token)).toBe('resume_condition_satisfied')
    })

    it('refuses what is expired, closed, used, of another attempt, without a trace', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 1 } })
      const old = await backend.createWaitpoint(first.handle, 'old')
      await backend.fail(first.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const { handle } = await claimOne(backend)
      const create = (key: string, expiresInMs?: number) =>
        backend.createWaitpoint(handle, key, expiresInMs)
      const closed = await create('closed')
      await backend.closeWaitpoint(handle, closed.waitpointId)
      const used = await create('used')
      await send(opened, used.token)
      satisfiedBy(await backend.suspend(handle, [{ token: used.token }]))
      const short = await create('short', 1000)
      await clock.advance(1000)
      const expected = [
        [old, 'invalid_waitpoint_for_execution'],
        [closed, 'waitpoint_not_pending'],
        [used, 'waitpoint_not_pending'],
        [short, 'pending_waitpoint_expired'],
      ] as const
      for (const [{ token }, code] of expected) {
        const call = () => backend.suspend(handle, [{ key: 'new' }, { token }])
        await refusedWithoutTrace(opened, call, code)
      }
    })

    it('refuses one waitpoint twice', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(handle, 'early')
      const specs = [
        { token, key: 'a' },
        { token, key: 'b' },
      ]
      await refusedWithoutTrace(opened, () => backend.suspend(handle, specs), 'invalid_input')
    })

    it('refuses the id of a waitpoint that exists', async () => {
      const opened = await openSigning(open)
      const { backend, store } = opened
      const { handle, executionId } = await submitAndClaim(backend)
      await backend.createWaitpoint(handle, 'early', undefined, { waitpointId: idOf('mine') })
      await backend.suspend(handle, approval)
      const { args, partition } = store.calls.findLast(({ name }) => name === 'execution.suspend')!
      await backend.resumeExecution(executionId)
      const again = await claimOne(backend)
      const [, , , leaseId, epoch] = again.handle.opaque.split('|')
      const points = `${idOf('mine')} early k1`
      const call = { ...args, lease_id: leaseId, epoch: Number(epoch), points }
      const before = await opened.dump()
      expect(await store.call(partition, 'execution.suspend', call as never)).toMatchObject({
        outcome: 'refused',
        code: 'waitpoint_already_exists',
      })
      expect(await opened.dump()).toEqual(before)
    })
  })
}
