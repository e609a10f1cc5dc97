// Signals that come before their suspension: kept, then offered to the condition like any other.
import { describe, expect, it } from 'vitest'
import type { ResumeCondition } from '../../src/persistence/backend-suspension.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'
import {
  approval,
  openSigning,
  satisfiedBy,
  send,
  suspendClaimed,
  suspendedBy,
} from '../support/suspensions.ts'

const kept = 'buffered_for_pending_waitpoint'

const shapes: readonly (readonly [string, ResumeCondition])[] = [
  ['single', { kind: 'single', waitpoint: 'early' }],
  ['any', { kind: 'any', of: [{ kind: 'single', waitpoint: 'early' }] }],
  [
    'all',
    {
      kind: 'all',
      of: [
        { kind: 'single', waitpoint: 'early', match: { names: ['yes'] } },
        { kind: 'single', waitpoint: 'early', match: { names: ['sure'] } },
      ],
    },
  ],
  ['count of signals', { kind: 'count', count: 2, of: 'signals', waitpoints: ['early'] }],
  ['count of sources', { kind: 'count', count: 2, of: 'sources', waitpoints: ['early'] }],
  [
    'all of count',
    {
      kind: 'all',
      of: [
        { kind: 'all', of: [{ kind: 'count', count: 1, of: 'waitpoints', waitpoints: ['early'] }] },
      ],
    },
  ],
]

export function describeEarlySignals(open: Open): void {
  describe('signals that come early', () => {
    it('leave the lease held and renewable, and are observed (S-C2, S-W6, S-R1)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const claimed = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      const { handle, executionId, expiresAtMs } = claimed
      const { token, waitpointId } = await backend.createWaitpoint(handle, 'early')
      expect(await send(opened, token, { name: 'yes', payload: bytes('me') })).toBe(kept)
      await clock.advance(100)
      const answer = satisfiedBy(await backend.suspend(handle, [{ token }], { timeoutMs: 5 }))
      expect(answer).toMatchObject({ replayed: false, signals: [{ name: 'yes', position: 1 }] })
      expect(Buffer.from(answer.signals[0]!.payload!)).toEqual(Buffer.from('me'))
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'leased.held',
        currentLease: { epoch: claimed.epoch, expiresAtMs },
        suspension: {
          suspensionId: answer.suspensionId,
          signalCount: 1,
          closeReason: 'resumed',
          closedAtMs: clock.nowMs(),
        },
      })
      expect(await backend.observeSignals(handle)).toEqual(answer.signals)
      expect((await backend.listWaitpoints(executionId)).items).toMatchObject([
        { waitpointId, state: 'closed', closeReason: 'resumed', suspensionId: answer.suspensionId },
      ])
      await refusal(backend.deliverSignal({ token }), 'waitpoint_closed')
      await clock.advance(800)
      expect(await backend.renew(handle)).toMatchObject({ epoch: claimed.epoch })
      await clock.advance(900)
      await backend.complete(handle)
    })

    it('answer the repeated call alike, and write nothing', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(handle, 'early')
      await send(opened, token)
      const call = () => backend.suspend(handle, [{ token }])
      const first = satisfiedBy(await call())
      expect(await withoutTrace(opened, call)).toEqual({ ...first, replayed: true })
      const { backend: other } = await opened.peer()
      expect(await other.suspend(handle, [{ token }])).toEqual({ ...first, replayed: true })
      await refusedWithoutTrace(
        opened,
        () => backend.suspend(handle, [{ token }], { reason: 'other' }),
        'waitpoint_not_pending',
      )
    })

    it.each(shapes)('meet a condition of every kind: %s (S-C3, S-W4)', async (_kind, condition) => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(handle, 'early')
      await send(opened, token, { name: 'yes', identity: 'ann' })
      await send(opened, token, { name: 'sure', identity: 'bob' })
      const options = { condition }
      const answer = satisfiedBy(await backend.suspend(handle, [{ token, key: 'early' }], options))
      const needed = JSON.stringify(condition).includes('"count":2') || condition.kind === 'all'
      expect(answer.signals.length).toBeGreaterThanOrEqual(needed && !deep(condition) ? 2 : 1)
      expect(await backend.observeSignals(handle)).toEqual(answer.signals)
    })

    it('count for the part that they meet; what is missing may come later', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const early = await backend.createWaitpoint(claimed.handle, 'early')
      await send(opened, early.token, { name: 'no' })
      await send(opened, early.token, { name: 'yes' })
      const { waitpoints, id } = await suspendClaimed(opened, claimed, {
        waitpoints: [{ token: early.token, key: 'early' }, { key: 'late' }],
        condition: {
          kind: 'all',
          of: [
            { kind: 'single', waitpoint: 'early', match: { names: ['yes'] } },
            { kind: 'single', waitpoint: 'late' },
          ],
        },
      })
      const effects = async () =>
        (await backend.listSignals(id, 0, 10)).items.map(({ effect }) => effect)
      expect(await effects()).toEqual(['signal_ignored_matcher_failed', 'appended_to_waitpoint'])
      expect(await describeOne(backend, id)).toMatchObject({ suspension: { signalCount: 2 } })
      expect(await send(opened, waitpoints[1]!.token)).toBe('resume_condition_satisfied')
      const { handle } = await claimOne(backend)
      const observed = await backend.observeSignals(handle)
      expect(observed.map(({ position }) => position)).toEqual([2, 3])
    })

    it('are offered in the order in which they came, over all waitpoints', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle, executionId } = await submitAndClaim(backend)
      const [a, b] = [
        await backend.createWaitpoint(handle, 'a'),
        await backend.createWaitpoint(handle, 'b'),
      ]
      for (const token of [b.token, a.token, b.token]) await send(opened, token)
      const answer = satisfiedBy(
        await backend.suspend(
          handle,
          [
            { token: a.token, key: 'a' },
            { token: b.token, key: 'b' },
          ],
          { condition: { kind: 'count', count: 2, of: 'waitpoints', waitpoints: ['a', 'b'] } },
        ),
      )
      expect(answer.signals.map(({ waitpointId }) => waitpointId)).toEqual([
        b.waitpointId,
        a.waitpointId,
      ])
      // The effect that was told first was tentative; now it says what came of each (S-W31).
      const { items } = await backend.listSignals(executionId, 0, 10)
      expect(items.map(({ effect }) => effect)).toEqual([
        'appended_to_waitpoint',
        'resume_condition_satisfied',
        'appended_to_waitpoint_duplicate',
      ])
    })

    it('update what is known of them and of their suspension (S-W31)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const { handle } = claimed
      const { token, waitpointId } = await backend.createWaitpoint(handle, 'early')
      expect(await send(opened, token, { idempotencyKey: 'once', name: 'no' })).toBe(kept)
      const { id } = await suspendClaimed(opened, claimed, {
        waitpoints: [{ token, match: { names: ['yes'] } }],
      })
      const ignored = 'signal_ignored_matcher_failed'
      expect(await backend.deliverSignal({ token, idempotencyKey: 'once' })).toMatchObject({
        outcome: 'duplicate',
        effect: ignored,
      })
      const { items } = await backend.listWaitpoints(id, { withSignals: true })
      expect(items).toMatchObject([{ waitpointId, state: 'active', signalCount: 1, signals: [] }])
      await send(opened, token, { name: 'yes' })
      expect(await backend.listWaitpoints(id, { withSignals: true })).toMatchObject({
        items: [{ signalCount: 2, signals: [{ position: 2, name: 'yes' }] }],
      })
      expect(await describeOne(backend, id)).toMatchObject({ suspension: { signalCount: 2 } })
    })

    it('do not meet a condition that no signal meets', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(claimed.handle, 'early')
      await send(opened, token)
      const { id } = await suspendClaimed(opened, claimed, {
        waitpoints: [{ token }],
        condition: { kind: 'operator' },
      })
      expect(await send(opened, token)).toBe('signal_ignored_not_in_condition')
      expect(await stateOf(backend, id)).toBe('suspended')
    })

    it('are kept while the attempt is suspended on something else', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const first = await submitAndClaim(backend)
      const later = await backend.createWaitpoint(first.handle, 'later')
      const { token } = await suspendClaimed(opened, first)
      expect(await send(opened, later.token)).toBe(kept)
      await send(opened, token)
      expect(await send(opened, later.token)).toBe(kept)
      const second = await claimOne(backend)
      const answer = satisfiedBy(await backend.suspend(second.handle, [{ token: later.token }]))
      expect(answer.signals).toHaveLength(1)
    })

    it('are kept while the attempt is parked by a delay', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(first.handle, 'later')
      await backend.delay(first.handle, clock.nowMs() + 1000)
      expect(await send(opened, token)).toBe(kept)
      await clock.advance(1000)
      const second = await claimOne(backend)
      satisfiedBy(await backend.suspend(second.handle, [{ token }]))
    })
  })

  describe('a waitpoint of an attempt', () => {
    const oops = { message: 'oops' }

    it.each(['attempt', 'run'] as const)('or run and its retry: %s', async (scope) => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 1 } })
      const early = await backend.createWaitpoint(first.handle, 'early', undefined, { scope })
      await send(opened, early.token)
      await backend.fail(first.handle, oops, 'transient')
      const { items } = await backend.listWaitpoints(first.executionId)
      expect(items).toMatchObject([{ state: scope === 'run' ? 'pending' : 'expired', scope }])
      const late = () => backend.deliverSignal({ token: early.token })
      if (scope === 'run') expect(await late()).toMatchObject({ effect: kept })
      else await refusedWithoutTrace(opened, late, 'waitpoint_closed')
      await clock.advance(1)
      const second = await claimOne(backend)
      expect(second.attempt).toBe(1)
      const suspend = () => backend.suspend(second.handle, [{ token: early.token }])
      if (scope === 'run') {
        expect(satisfiedBy(await suspend()).signals).toHaveLength(1)
        expect(await backend.observeSignals(second.handle)).toHaveLength(1)
      } else {
        await refusedWithoutTrace(opened, suspend, 'invalid_waitpoint_for_execution')
      }
    })

    it.each(['attempt', 'run'] as const)('or run and its reclaim: %s', async (scope) => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      const { token } = await backend.createWaitpoint(first.handle, 'early', undefined, { scope })
      await clock.advance(1000)
      const early = backend.deliverSignal({ token })
      if (scope === 'run') expect(await early).toMatchObject({ effect: kept })
      else await refusal(early, 'waitpoint_closed')
      const second = await claimOne(backend)
      expect(second.attempt).toBe(1)
      const suspend = backend.suspend(second.handle, [{ token }])
      if (scope === 'run') satisfiedBy(await suspend)
      else await refusal(suspend, 'invalid_waitpoint_for_execution')
    })

    it('or run may be waited for by a later attempt', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 1 } })
      const scope = 'run' as const
      const { token } = await backend.createWaitpoint(first.handle, 'early', undefined, { scope })
      await backend.fail(first.handle, oops, 'transient')
      await clock.advance(1)
      const { id } = await suspendClaimed(opened, await claimOne(backend), {
        waitpoints: [{ token }],
      })
      expect((await backend.listWaitpoints(id)).items).toMatchObject([
        { state: 'active', attempt: 0, scope },
      ])
      expect(await send(opened, token)).toBe('resume_condition_satisfied')
      expect(await claimOne(backend)).toMatchObject({ attempt: 1, handle: { kind: 'resumed' } })
    })

    it.each(['attempt', 'run'] as const)('or run ends with it: %s', async (scope) => {
      const opened = await openSigning(open)
      const { backend } = opened
      const first = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(first.handle, 'early', undefined, { scope })
      await send(opened, token, { idempotencyKey: 'once' })
      await backend.complete(first.handle)
      const late = () => backend.deliverSignal({ token })
      await refusedWithoutTrace(opened, late, 'target_not_signalable')
      await backend.replayExecution(first.executionId)
      await refusedWithoutTrace(opened, late, 'waitpoint_closed')
      const second = await claimOne(backend)
      await refusedWithoutTrace(opened, late, 'waitpoint_closed')
      const suspend = () => backend.suspend(second.handle, [{ token }])
      await refusedWithoutTrace(opened, suspend, 'invalid_waitpoint_for_execution')
      expect((await backend.listWaitpoints(first.executionId)).items).toMatchObject([
        { state: 'expired' },
      ])
      // What was accepted once is told even now.
      expect(await backend.deliverSignal({ token, idempotencyKey: 'once' })).toMatchObject({
        outcome: 'duplicate',
      })
      suspendedBy(await backend.suspend(second.handle, approval))
      await refusedWithoutTrace(opened, late, 'waitpoint_closed')
    })
  })
}

/** Whether it nests deeper than the plain shapes. */
function deep(condition: ResumeCondition): boolean {
  return condition.kind === 'all' && condition.of.some(({ kind }) => kind === 'all')
}
