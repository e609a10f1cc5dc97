// Deadlines of executions and time limits of attempts.
import { describe, expect, it } from 'vitest'
import type { Submission } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  claimAll,
  claimIds,
  claimOne,
  describeOne,
  refusal,
  stateOf,
  submit,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'

const deadlineMs = 10_000

/** Ways to spend the time until the deadline; each leaves the execution unfinished. */
const pastimes: Readonly<Record<string, (opened: OpenedBackend) => Promise<string>>> = {
  waiting: ({ backend }) => submit(backend, { deadlineMs }),
  reserved: async ({ backend }) => {
    const id = await submit(backend, { deadlineMs })
    await backend.issueClaimGrant(id, { worker: 'worker', grantMs: 60_000 })
    return id
  },
  delayed: ({ backend }) => submit(backend, { deadlineMs, delayMs: deadlineMs - 1 }),
  blocked: async ({ backend }) => {
    const id = await submit(backend, { deadlineMs })
    await backend.blockExecution(id, 'reason')
    return id
  },
  'under a lease': async ({ backend }) =>
    (await submitAndClaim(backend, { deadlineMs }, { leaseMs: 60_000 })).executionId,
  'after losing its lease': async ({ backend }) => {
    const { executionId } = await submitAndClaim(backend, { deadlineMs })
    await backend.revokeLease(executionId)
    return executionId
  },
  parked: async ({ backend, clock }) => {
    const { executionId, handle } = await submitAndClaim(backend, { deadlineMs })
    await backend.delay(handle, clock.nowMs() + 60_000)
    return executionId
  },
  'interrupted and handed back': async ({ backend }) => {
    const { executionId, handle } = await submitAndClaim(backend, { deadlineMs })
    await backend.delay(handle, 0)
    return executionId
  },
  replayed: async ({ backend }) => {
    const id = await submit(backend, { deadlineMs })
    await backend.cancelExecution(id, 'over')
    await backend.replayExecution(id)
    return id
  },
}

export function describeDeadlines(open: Open): void {
  describe('a deadline', () => {
    it.each(Object.entries(pastimes))(
      'ends work that is %s, at its millisecond',
      async (_how, pass) => {
        const opened = await open()
        const { backend, clock } = opened
        const id = await pass(opened)
        await clock.advance(deadlineMs - 1)
        await sweepAll(backend)
        expect(await stateOf(backend, id)).not.toMatch(/^terminal/)
        await clock.advance(1)
        expect(await claimIds(backend)).toEqual([])
        await sweepAll(backend)
        expect(await describeOne(backend, id)).toMatchObject({
          state: 'terminal.expired',
          publicState: 'expired',
          reason: 'deadline',
          endedAtMs: clock.nowMs(),
          currentLease: undefined,
          startsAtMs: undefined,
          blockedBy: undefined,
        })
        expect(await backend.watch(id)).toEqual({ outcome: 'expired', reason: 'deadline' })
      },
    )

    it('is noticed by the worker that comes too late, before anything else', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(
        backend,
        { deadlineMs: 1000, attemptTimeoutMs: 1000 },
        { leaseMs: 1000 },
      )
      await clock.advance(1000)
      await refusal(backend.complete(handle), 'execution_not_active', {
        state: 'terminal.expired',
        reason: 'deadline',
      })
      expect(await stateOf(backend, executionId)).toBe('terminal.expired')
    })

    it('is noticed by grants', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { deadlineMs: 1000 })
      await clock.advance(1000)
      await refusal(backend.issueClaimGrant(id, { worker: 'worker' }), 'execution_not_eligible', {
        state: 'terminal.expired',
      })
    })

    it('does not matter to work that ended before', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend, { deadlineMs: 1000 })
      await clock.advance(999)
      await backend.complete(handle)
      await clock.advance(1)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('terminal.completed')
    })

    it('ends as many as there are', async () => {
      const { backend, clock } = await open()
      await Promise.all(Array.from({ length: 150 }, () => submit(backend, { deadlineMs: 1000 })))
      await clock.advance(1000)
      expect(await claimAll(backend)).toEqual([])
      for (let round = 0; round < 3; round++) await sweepAll(backend)
      for (const partition of backend.partitions) {
        expect((await backend.sweep(partition)).promoted).toBe(0)
      }
    })
  })

  describe('the time limit of an attempt', () => {
    const timed: Partial<Submission> = { attemptTimeoutMs: 1000 }

    it('ends the execution when there is no retry for it (W25)', async () => {
      const { backend, clock } = await open()
      const { attemptDeadlineAtMs, executionId, handle } = await submitAndClaim(backend, timed)
      expect(attemptDeadlineAtMs).toBe(clock.nowMs() + 1000)
      await clock.advance(999)
      await backend.renew(handle)
      await clock.advance(1)
      await refusal(backend.renew(handle), 'execution_not_active', {
        state: 'terminal.expired',
        reason: 'attempt_timeout',
      })
      expect(await backend.watch(executionId)).toEqual({
        outcome: 'expired',
        reason: 'attempt_timeout',
      })
    })

    it('is noticed without the worker, also when its lease lasts longer', async () => {
      const { backend, clock } = await open()
      const { executionId } = await submitAndClaim(backend, timed, { leaseMs: 60_000 })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('terminal.expired')
    })

    it('retries when the policy covers timeouts', async () => {
      const { backend, clock } = await open()
      const retry = { attempts: 2, delayMs: 100, on: ['timeout'] } as const
      const first = await submitAndClaim(backend, { ...timed, retry })
      const startedAtMs = clock.nowMs()
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await describeOne(backend, first.executionId)).toMatchObject({
        state: 'delayed.retry',
        startsAtMs: clock.nowMs() + 100,
        retries: 1,
        currentLease: undefined,
        endedAttempts: [
          { attempt: 0, how: 'timeout', startedAtMs, endedAtMs: clock.nowMs(), epoch: first.epoch },
        ],
      })
      await clock.advance(100)
      const second = await claimOne(backend)
      expect(second).toMatchObject({
        attempt: 1,
        attemptType: 'retry',
        attemptDeadlineAtMs: clock.nowMs() + 1000,
      })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await describeOne(backend, first.executionId)).toMatchObject({
        state: 'terminal.expired',
        reason: 'attempt_timeout',
        retries: 1,
      })
    })

    it('does not retry past the deadline', async () => {
      const { backend, clock } = await open()
      const retry = { attempts: 2, delayMs: 100, on: ['timeout'] } as const
      const { executionId } = await submitAndClaim(backend, { ...timed, retry, deadlineMs: 1100 })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('terminal.expired')
    })

    it('does not end an attempt that came later (W6)', async () => {
      const { backend, clock } = await open()
      const retry = { attempts: 2, delayMs: 1 }
      const first = await submitAndClaim(backend, { ...timed, retry })
      await clock.advance(900)
      await backend.fail(first.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const second = await claimOne(backend)
      await clock.advance(999)
      await sweepAll(backend)
      expect(await stateOf(backend, first.executionId)).toBe('leased.held')
      await backend.complete(second.handle)
    })

    it('goes before the end of the lease when both are due', async () => {
      const { backend, clock } = await open()
      const { executionId } = await submitAndClaim(backend, timed, { leaseMs: 1000 })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('terminal.expired')
    })

    it('does not run while nobody has the lease', async () => {
      const { backend, clock } = await open()
      const { executionId } = await submitAndClaim(backend, timed)
      await backend.revokeLease(executionId)
      await clock.advance(5000)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('leased.revoked')
    })
  })
}
