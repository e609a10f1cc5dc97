// What operators may do with suspended work, and what a resumed worker is told of its signals.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  forged,
  refusal,
  refusedWithoutTrace,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'
import { bring, reachableLeaves } from '../support/leaves.ts'
import { idOf, openSigning, send, suspendClaimed, suspended } from '../support/suspensions.ts'

const day = 86_400_000

export function describeOperatorResume(open: Open): void {
  describe('resumeExecution', () => {
    it('resumes whatever the condition, and says so (S-W1)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token } = await suspended(opened, {
        condition: { kind: 'count', count: 5, of: 'signals', waitpoints: ['approval'] },
      })
      await send(opened, token)
      await clock.advance(10)
      expect(await backend.resumeExecution(id)).toEqual({
        state: 'runnable.resumed',
        replayed: false,
      })
      expect(await describeOne(backend, id)).toMatchObject({
        suspension: { closeReason: 'operator_resume', closedAtMs: clock.nowMs() },
      })
      expect((await backend.listWaitpoints(id)).items).toMatchObject([
        { state: 'closed', closeReason: 'operator_resume' },
      ])
      await refusedWithoutTrace(opened, () => backend.deliverSignal({ token }), 'waitpoint_closed')
      const { handle } = await claimOne(backend)
      expect(await backend.observeSignals(handle)).toEqual([])
    })

    it('under an own id can be repeated, also when the work has gone on', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id } = await suspended(opened)
      const request = { resumeId: idOf('request') }
      const call = () => backend.resumeExecution(id, request)
      expect(await call()).toEqual({ state: 'runnable.resumed', replayed: false })
      expect(await withoutTrace(opened, call)).toEqual({
        state: 'runnable.resumed',
        replayed: true,
      })
      const { handle } = await claimOne(backend)
      expect(await withoutTrace(opened, call)).toEqual({ state: 'leased.held', replayed: true })
      const other = () => backend.resumeExecution(id)
      await refusedWithoutTrace(opened, other, 'execution_not_suspended')
      await backend.complete(handle)
      expect(await withoutTrace(opened, call)).toMatchObject({ replayed: true })
    })

    it.each([
      ['no rest', 0, 0],
      ['another rest', 50, 50],
      ['the rest that its worker asked for', undefined, 700],
    ])('may ask for %s', async (_what, delayMs, restMs) => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, { resumeDelayMs: 700 })
      await backend.resumeExecution(id, { delayMs })
      if (restMs > 0) {
        await clock.advance(restMs - 1)
        expect(await claimIds(backend)).toEqual([])
        await clock.advance(1)
      }
      expect(await claimIds(backend)).toEqual([id])
    })

    const others = reachableLeaves.filter((leaf) => leaf !== 'suspended')
    it.each(others)('does nothing to work in %s', async (leaf) => {
      const opened = await openSigning(open)
      const { id } = await bring(opened, leaf)
      const call = () => opened.backend.resumeExecution(id)
      await refusedWithoutTrace(opened, call, 'execution_not_suspended', { state: leaf })
    })

    it('comes too late when the time is over', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, { timeoutMs: 1000, onTimeout: 'expire' })
      await clock.advance(1000)
      await refusal(backend.resumeExecution(id), 'execution_not_suspended', {
        state: 'terminal.expired',
      })
    })

    it('refuses what it cannot read or find', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id } = await suspended(opened)
      const calls = [
        [() => backend.resumeExecution(id, { resumeId: 'short' }), 'invalid_input'],
        [() => backend.resumeExecution(id, { delayMs: -1 }), 'invalid_input'],
        [() => backend.resumeExecution(id, { delayMs: 36_501 * day }), 'invalid_input'],
        [() => backend.resumeExecution('nonsense'), 'invalid_input'],
        [() => backend.resumeExecution(`0-${'0'.repeat(26)}`), 'execution_not_found'],
      ] as const
      for (const [call, code] of calls) await refusedWithoutTrace(opened, call, code)
    })
  })

  describe('observeSignals', () => {
    it('answers any handle of the attempt, and writes nothing', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { token, lease, outcome } = await suspended(opened)
      expect(await backend.observeSignals(outcome.handle)).toEqual([])
      await send(opened, token, { name: 'yes' })
      const { handle } = await claimOne(backend)
      for (const holder of [lease, outcome.handle, handle]) {
        const observe = () => backend.observeSignals(holder)
        expect(await withoutTrace(opened, observe)).toMatchObject([{ name: 'yes', position: 1 }])
      }
    })

    it('tells of the latest suspension of this attempt only', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await suspended(opened, {
        submission: { retry: { attempts: 2, delayMs: 1 } },
      })
      await send(opened, first.token, { name: 'one' })
      const second = await suspendClaimed(opened, await claimOne(backend))
      expect(await backend.observeSignals(second.lease)).toEqual([])
      await send(opened, second.token, { name: 'two' })
      const claimed = await claimOne(backend)
      expect(await backend.observeSignals(claimed.handle)).toMatchObject([{ name: 'two' }])
      await backend.fail(claimed.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const retried = await claimOne(backend)
      expect(await backend.observeSignals(retried.handle)).toEqual([])
      const again = await suspendClaimed(opened, retried)
      await backend.resumeExecution(again.id)
      expect(await backend.observeSignals((await claimOne(backend)).handle)).toEqual([])
    })

    it('tells nothing where nothing was suspended, and finds only what is there', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle, executionId } = await submitAndClaim(backend)
      expect(await backend.observeSignals(handle)).toEqual([])
      const partition = executionId.split('-')[0]
      const gone = forged(handle, 'executionId', `${partition}-${'0'.repeat(26)}`)
      await refusal(backend.observeSignals(gone), 'execution_not_found')
      const other = handle.backend === 'valkey' ? 'embedded' : 'valkey'
      const foreign = { ...handle, backend: other } as const
      await refusal(backend.observeSignals(foreign), 'handle_from_other_backend')
    })
  })
}
