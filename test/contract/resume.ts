// Resumed work: the same attempt goes on, where its gates allow, with what it had before.
import { describe, expect, it } from 'vitest'
import type { SuspendOptions } from '../../src/persistence/backend-suspension.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  sweepAll,
} from '../support/executions.ts'
import {
  openSigning,
  type Suspended,
  send,
  suspendClaimed,
  suspended,
} from '../support/suspensions.ts'

type Way = (opened: OpenedBackend, suspension: Suspended) => Promise<unknown>

/** Every way out of a suspension into work, with what has to be asked for before. */
const ways: readonly (readonly [string, SuspendOptions, Way])[] = [
  ['a signal', {}, (opened, { token }) => send(opened, token)],
  ['an operator', {}, ({ backend }, { id }) => backend.resumeExecution(id)],
  ['its time', { timeoutMs: 1000, onTimeout: 'auto_resume' }, lapse],
  ['its time, with a signal', { timeoutMs: 1000, onTimeout: 'auto_resume_with_signal' }, lapse],
]

async function lapse({ backend, clock }: OpenedBackend): Promise<void> {
  await clock.advance(1000)
  await sweepAll(backend)
}

export function describeResume(open: Open): void {
  describe.each(ways)('work that is resumed by %s', (_way, options, resume) => {
    it('is claimed in its old place, by its priority and its age', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend, clock } = opened
      const suspension = await suspended(opened, { ...options, submission: { priority: 5 } })
      await clock.advance(10)
      const younger = await submit(backend, { priority: 5 })
      const lower = await submit(backend, { priority: 4 })
      const higher = await submit(backend, { priority: 6 })
      await resume(opened, suspension)
      expect(await claimIds(backend)).toEqual([higher, suspension.id, younger, lower])
    })

    it('is claimed only by who offers what it needs', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const capabilities = ['gpu', 'eu']
      const suspension = await suspended(opened, {
        ...options,
        submission: { capabilities },
        claim: { capabilities },
      })
      await resume(opened, suspension)
      expect(await claimIds(backend, { capabilities: ['gpu'] })).toEqual([])
      expect(await claimIds(backend, { capabilities, kinds: ['fresh'] })).toEqual([])
      expect(await claimIds(backend, { capabilities, kinds: ['resumed'] })).toEqual([suspension.id])
    })

    it('keeps its input, its progress and its place in the attempts', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const startedAtMs = clock.nowMs()
      const claimed = await claimNew(opened, bytes('input'))
      await backend.progress(claimed.handle, 40, 'so far')
      const suspension = await suspendClaimed(opened, claimed, options)
      await resume(opened, suspension)
      const again = await claimOne(backend)
      expect(Buffer.from(again.input).toString()).toBe('input')
      expect(await describeOne(backend, suspension.id)).toMatchObject({
        state: 'leased.held',
        progress: { percent: 40, message: 'so far' },
        currentAttempt: { attempt: 0, startedAtMs },
        endedAttempts: [],
        retries: 0,
      })
    })

    it('has the time left that its attempt had, the next attempt all of it (S-W17)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const submission = { attemptTimeoutMs: 1000, retry: { attempts: 2, delayMs: 1 } }
      const claimed = await claimNew(opened, bytes(''), submission)
      await clock.advance(400)
      const suspension = await suspendClaimed(opened, claimed, options)
      await clock.advance(500)
      await resume(opened, suspension)
      await clock.advance(5000)
      const again = await claimOne(backend)
      expect(again.attemptDeadlineAtMs).toBe(clock.nowMs() + 600)
      await clock.advance(599)
      expect(await backend.renew(again.handle)).toBeDefined()
      await backend.fail(again.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const next = await claimOne(backend)
      expect(next).toMatchObject({ attempt: 1, attemptDeadlineAtMs: clock.nowMs() + 1000 })
      expect(await backend.observeSignals(next.handle)).toEqual([])
    })

    it('times out when the rest of its time is over (S-W17)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const claimed = await claimNew(opened, bytes(''), { attemptTimeoutMs: 1000 })
      await clock.advance(400)
      const suspension = await suspendClaimed(opened, claimed, options)
      await resume(opened, suspension)
      const again = await claimOne(backend)
      await clock.advance(600)
      await refusal(backend.renew(again.handle), 'execution_not_active')
      expect(await describeOne(backend, suspension.id)).toMatchObject({ reason: 'attempt_timeout' })
    })

    it('rests as long as its worker asked for (S-W5, S-C12)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const suspension = await suspended(opened, { ...options, resumeDelayMs: 700 })
      await resume(opened, suspension)
      expect(await describeOne(backend, suspension.id)).toMatchObject({
        state: 'delayed.parked',
        publicState: 'delayed',
        startsAtMs: clock.nowMs() + 700,
      })
      await refusal(backend.deliverSignal({ token: suspension.token }), 'waitpoint_closed')
      await clock.advance(699)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimOne(backend)).toMatchObject({
        executionId: suspension.id,
        attempt: 0,
        handle: { kind: 'resumed' },
      })
    })

    it('closes every waitpoint and takes no more signals (S-W1)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const waitpoints = [{ key: 'a' }, { key: 'b' }, { key: 'c' }]
      const suspension = await suspended(opened, { ...options, waitpoints })
      await resume(opened, suspension)
      const next = await suspendClaimed(opened, await claimOne(backend))
      for (const { token } of suspension.waitpoints) {
        await refusedWithoutTrace(
          opened,
          () => backend.deliverSignal({ token }),
          'waitpoint_closed',
        )
      }
      expect(await stateOf(backend, next.id)).toBe('suspended')
    })

    it('waits while its lane is paused, and not while it drains', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const suspension = await suspended(opened, options)
      await backend.pauseLane('lane')
      await resume(opened, suspension)
      expect(await claimIds(backend)).toEqual([])
      await refusal(
        backend.issueClaimGrant(suspension.id, { worker: 'worker' }),
        'execution_not_eligible',
      )
      await backend.drainLane('lane')
      expect(await claimIds(backend)).toEqual([suspension.id])
      await backend.resumeLane('lane')
    })

    it('knows nothing of the lease that was given back (S-R8)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const suspension = await suspended(opened, options)
      const { lease } = suspension
      await refusedWithoutTrace(opened, () => backend.renew(lease), 'execution_not_active', {
        state: 'suspended',
      })
      await resume(opened, suspension)
      const active = 'execution_not_active'
      await refusedWithoutTrace(opened, () => backend.renew(lease), active)
      await refusedWithoutTrace(opened, () => backend.progress(lease, 1), active)
      await refusedWithoutTrace(opened, () => backend.complete(lease), 'already_settled')
      const again = await claimOne(backend)
      for (const call of [
        () => backend.renew(lease),
        () => backend.complete(lease),
        () => backend.createWaitpoint(lease, 'key'),
        () => backend.closeWaitpoint(lease, suspension.waitpoints[0]!.waitpointId),
      ]) {
        await refusedWithoutTrace(opened, call, 'stale_lease')
      }
      await backend.complete(again.handle)
    })

    it('is claimed by one of two, by grant or without (S-R9)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { backend: other } = await opened.peer()
      const suspension = await suspended(opened, options)
      const { id } = suspension
      const early = () => backend.issueClaimGrant(id, { worker: 'a' })
      await refusedWithoutTrace(opened, early, 'execution_not_eligible')
      await resume(opened, suspension)
      const both = await Promise.all([claimIds(backend), claimIds(other)])
      expect(both.flat()).toEqual([id])
      const again = (await describeOne(backend, id)).currentLease
      expect(again?.epoch).toBeGreaterThan(suspension.claimed.epoch)
    })

    it('is claimed by whom it was granted to, once (S-R9)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const suspension = await suspended(opened, options)
      await resume(opened, suspension)
      const grant = await backend.issueClaimGrant(suspension.id, { worker: 'a', grantMs: 1000 })
      const thief = { ...grant, worker: 'b' }
      const theft = () => backend.claimResumedExecution({ grant: thief })
      await refusedWithoutTrace(opened, theft, 'invalid_claim_grant')
      expect(await claimIds(backend)).toEqual([])
      const claimed = await backend.claimResumedExecution({ grant })
      expect(claimed).toMatchObject({ attempt: 0, handle: { kind: 'resumed' } })
      const twice = () => backend.claimResumedExecution({ grant, leaseId: 'another' })
      await refusedWithoutTrace(opened, twice, 'execution_not_leaseable')
      const { token } = await suspendClaimed(opened, claimed)
      await send(opened, token)
      const late = await backend.issueClaimGrant(suspension.id, { worker: 'a', grantMs: 1000 })
      await clock.advance(1000)
      await refusal(backend.claimResumedExecution({ grant: late }), 'claim_grant_expired')
    })

    it('is reclaimed as a new attempt when its next lease is lost', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const suspension = await suspended(opened, options)
      await resume(opened, suspension)
      await claimOne(backend, { leaseMs: 1000 })
      await clock.advance(1000)
      const lost = await claimOne(backend)
      expect(lost).toMatchObject({ attempt: 1, attemptType: 'reclaim' })
      expect(await backend.observeSignals(lost.handle)).toEqual([])
    })
  })

  describe('while work is suspended', () => {
    it('nobody can block it, reprioritise it or take its lease', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id } = await suspended(opened)
      for (const [call, code] of [
        [() => backend.blockExecution(id, 'reason'), 'execution_not_eligible'],
        [() => backend.changePriority(id, 5), 'execution_not_eligible'],
        [() => backend.issueClaimGrant(id, { worker: 'a' }), 'execution_not_eligible'],
        [() => backend.issueReclaimGrant(id, { worker: 'a' }), 'execution_not_reclaimable'],
        [() => backend.purgeExecution(id), 'execution_not_terminal'],
        [() => backend.replayExecution(id), 'execution_not_terminal'],
      ] as const) {
        await refusedWithoutTrace(opened, call, code)
      }
      await refusal(backend.revokeLease(id), 'execution_not_active')
    })

    it('it can be cancelled, which closes all that it waits for (S-R5)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, waitpoints, lease } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
        timeoutMs: 1000,
        submission: { attemptTimeoutMs: 500 },
      })
      await clock.advance(10)
      expect(await backend.cancelExecution(id, 'no need')).toMatchObject({ replayed: false })
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'terminal.cancelled',
        suspension: { closeReason: 'cancelled', closedAtMs: clock.nowMs() },
      })
      for (const point of (await backend.listWaitpoints(id)).items) {
        expect(point).toMatchObject({ state: 'closed', closeReason: 'cancelled' })
      }
      const late = () => backend.deliverSignal({ token: waitpoints[1]!.token })
      await refusedWithoutTrace(opened, late, 'target_not_signalable')
      const again = () => backend.resumeExecution(id)
      await refusedWithoutTrace(opened, again, 'execution_not_suspended')
      expect(await backend.observeSignals(lease)).toEqual([])
      await clock.advance(5000)
      await sweepAll(backend)
      expect(await stateOf(backend, id)).toBe('terminal.cancelled')
      const partition = Number(id.split('-')[0])
      expect((await backend.listSuspended(partition, undefined, 10)).items).toEqual([])
    })

    it('its end and its replay leave nothing of the suspension behind', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, {
        timeoutMs: 1000,
        resumeDelayMs: 500,
        submission: { attemptTimeoutMs: 5000 },
      })
      await backend.cancelExecution(id, 'over')
      await backend.replayExecution(id)
      const again = await claimOne(backend)
      expect(again).toMatchObject({
        attempt: 1,
        attemptType: 'replay',
        attemptDeadlineAtMs: clock.nowMs() + 5000,
        handle: { kind: 'fresh' },
      })
      await clock.advance(4999)
      await sweepAll(backend)
      expect(await stateOf(backend, id)).toBe('leased.held')
      expect(await backend.observeSignals(again.handle)).toEqual([])
      const { token } = await suspendClaimed(opened, again)
      expect(await send(opened, token)).toBe('resume_condition_satisfied')
      expect(await stateOf(backend, id)).toBe('runnable.resumed')
    })
  })
}

async function claimNew(
  { backend }: OpenedBackend,
  input: Uint8Array,
  submission: Parameters<typeof submit>[1] = {},
) {
  await submit(backend, { ...submission, input })
  return claimOne(backend)
}
