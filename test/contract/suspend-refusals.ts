// What suspend refuses, without a trace: foreign fences, wrong arguments, times long past.
import { describe, expect, it } from 'vitest'
import type { WaitpointSpec } from '../../src/persistence/backend-suspension.ts'
import type { Open } from '../support/backends.ts'
import {
  claimOne,
  describeOne,
  forged,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'
import { approval, openSigning, suspended, suspendedBy } from '../support/suspensions.ts'

const skewMs = 600_000

export function describeSuspendRefusals(open: Open): void {
  describe('suspend needs the whole fence', () => {
    it.each([
      ['leaseId', 'guessed.1'],
      ['epoch', 7],
      ['attempt', 3],
    ] as const)('and is refused with another %s', async (part, value) => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const call = () => opened.backend.suspend(forged(handle, part, value), approval)
      await refusedWithoutTrace(opened, call, 'stale_lease')
    })

    it('and is refused from the moment at which the lease ends (S-R7)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(1000)
      await refusal(backend.suspend(handle, approval), 'lease_expired')
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'leased.expired',
        suspension: undefined,
      })
      expect((await backend.listWaitpoints(executionId)).items).toEqual([])
      expect(await claimOne(backend)).toMatchObject({ attempt: 1, attemptType: 'reclaim' })
    })

    it('and is refused when the lease was revoked, and after an end', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.revokeLease(executionId)
      const call = () => backend.suspend(handle, approval)
      await refusedWithoutTrace(opened, call, 'lease_revoked')
      await backend.cancelExecution(executionId, 'over')
      await refusedWithoutTrace(opened, call, 'execution_not_active', {
        state: 'terminal.cancelled',
      })
      const absent = forged(handle, 'executionId', `${executionId.split('-')[0]}-${'0'.repeat(26)}`)
      await refusedWithoutTrace(
        opened,
        () => backend.suspend(absent, approval),
        'execution_not_found',
      )
    })
  })

  describe('suspend refuses, and leaves no trace (S-W13)', () => {
    it.each<[string, readonly WaitpointSpec[]]>([
      ['no waitpoints', []],
      ['65 waitpoints', Array.from({ length: 65 }, (_, at) => ({ key: `key-${at}` }))],
      ['an empty key', [{ key: '' }]],
      ['a key of 65 bytes', [{ key: 'k'.repeat(65) }]],
      ['a key with white space', [{ key: 'a b' }]],
      ['a key that is no text', [{ key: 7 as unknown as string }]],
    ])('%s', async (_what, waitpoints) => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const call = () => opened.backend.suspend(handle, waitpoints)
      await refusedWithoutTrace(opened, call, 'invalid_input')
      expect(await opened.backend.renew(handle)).toBeDefined()
    })

    it.each([
      ['two waitpoints of one key', [{ key: 'a' }, { key: 'a' }]],
      ['a condition beside a match', [{ key: 'a', match: {} }], { kind: 'single', waitpoint: 'a' }],
    ] as const)(
      '%s',
      async (_what, waitpoints, condition?: { kind: 'single'; waitpoint: string }) => {
        const opened = await openSigning(open)
        const { handle } = await submitAndClaim(opened.backend)
        const before = await opened.dump()
        const call = opened.backend.suspend(handle, waitpoints, { condition })
        await expect(call).rejects.toMatchObject({
          code: condition === undefined ? 'invalid_resume_condition' : 'invalid_input',
        })
        expect(await opened.dump()).toEqual(before)
      },
    )

    it.each<[string, Record<string, unknown>]>([
      ['a reason that is no word', { reason: 'two words' }],
      ['a requester that is no word', { requestedBy: '' }],
      ['an unknown time behaviour', { onTimeout: 'explode' }],
      ['a pointer of 2049 bytes', { pointer: 'p'.repeat(2049) }],
      ['a negative time', { timeoutMs: -1 }],
      ['a fraction of a millisecond', { timeoutMs: 1.5 }],
      ['a delay of more than a hundred years', { resumeDelayMs: 36_500 * 86_400_000 + 1 }],
    ])('%s', async (_what, options) => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const call = () => opened.backend.suspend(handle, approval, options)
      await refusedWithoutTrace(opened, call, 'invalid_input')
    })

    it('a deadline over ten minutes ago, by the clock of the server (S-W20)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { handle, executionId } = await submitAndClaim(backend)
      const atMs = clock.nowMs() - skewMs
      const early = () => backend.suspend(handle, approval, { timeoutAtMs: atMs - 1 })
      await refusedWithoutTrace(opened, early, 'invalid_input', { argument: 'timeout_at' })
      const answer = suspendedBy(await backend.suspend(handle, approval, { timeoutAtMs: atMs }))
      expect(answer.timeoutAtMs).toBe(atMs)
      await sweepAll(backend)
      expect(await stateOf(backend, executionId)).toBe('terminal.failed')
    })

    it('to wait for a timeout alone without one', async () => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const call = () =>
        opened.backend.suspend(handle, approval, { condition: { kind: 'timeout' } })
      await refusedWithoutTrace(opened, call, 'invalid_input', { argument: 'timeout_at' })
    })

    it('a token that is no token, is another execution’s, or is not known any more', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const other = await suspended(opened, { submission: { lane: 'other' } })
      const { handle } = await submitAndClaim(backend)
      const call = (token: string) => () => backend.suspend(handle, [{ token }])
      await refusedWithoutTrace(opened, call(''), 'missing_token')
      await refusedWithoutTrace(opened, call('nonsense'), 'invalid_token')
      await refusedWithoutTrace(opened, call(other.token), 'invalid_waitpoint_for_execution')
    })
  })
}
