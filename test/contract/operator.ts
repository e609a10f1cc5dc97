// What operators do: cancel, block, reprioritise, replay and purge, from every state.

import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type { ExecutionId } from '../../src/ids.ts'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'
import { withoutFeed } from '../support/feed.ts'
import { bring, type ReachableLeaf, reachableLeaves } from '../support/leaves.ts'

type Act = (backend: EngineBackend, id: ExecutionId) => Promise<unknown>

const acts: Readonly<Record<string, Act>> = {
  cancelExecution: (backend, id) => backend.cancelExecution(id, 'over'),
  revokeLease: (backend, id) => backend.revokeLease(id),
  changePriority: (backend, id) => backend.changePriority(id, 7),
  replayExecution: (backend, id) => backend.replayExecution(id),
  blockExecution: (backend, id) => backend.blockExecution(id, 'other-reason'),
  unblockExecution: (backend, id) => backend.unblockExecution(id, 'reason'),
}

const unclaimed = ['runnable.ready', 'runnable.resumed', 'delayed.start', 'delayed.retry']
const waiting: readonly string[] = [...unclaimed, 'delayed.parked']
const isEnded = (leaf: string) => leaf.startsWith('terminal.')

/** The leaf that an act leads to, or the code with which it is refused. */
const answers: Readonly<Record<string, (leaf: ReachableLeaf) => string>> = {
  cancelExecution: (leaf) =>
    isEnded(leaf) && leaf !== 'terminal.cancelled' ? 'execution_not_active' : 'terminal.cancelled',
  revokeLease: (leaf) => {
    if (leaf === 'leased.held') return 'leased.revoked'
    return leaf.startsWith('leased.') ? leaf : 'execution_not_active'
  },
  changePriority: (leaf) =>
    waiting.includes(leaf) || leaf === 'runnable.blocked' ? leaf : 'execution_not_eligible',
  replayExecution: (leaf) => (isEnded(leaf) ? 'runnable.ready' : 'execution_not_terminal'),
  blockExecution: (leaf) =>
    waiting.includes(leaf) ? 'runnable.blocked' : 'execution_not_eligible',
  unblockExecution: (leaf) => {
    if (leaf === 'runnable.blocked') return 'runnable.ready'
    return isEnded(leaf) ? 'execution_not_eligible' : leaf
  },
}

export function describeOperator(open: Open): void {
  describe.each(Object.entries(acts))('%s', (name, act) => {
    it.each(reachableLeaves)('does what it should with work that is %s', async (leaf) => {
      const opened = await open()
      const { backend } = opened
      const { id } = await bring(opened, leaf)
      const expected = answers[name]?.(leaf) ?? expect.fail()
      if (!/_/.test(expected)) {
        await act(backend, id)
        expect(await stateOf(backend, id)).toBe(expected)
      } else {
        const details = { state: leaf }
        await refusedWithoutTrace(opened, () => act(backend, id), expected as ErrorCode, details)
      }
    })

    it('does not find what is not there', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend)
      await backend.cancelExecution(id, 'over')
      await backend.purgeExecution(id)
      await refusedWithoutTrace(opened, () => act(backend, id), 'execution_not_found')
    })
  })

  describe('cancelExecution', () => {
    it('ends work whoever holds it, and tells why', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await clock.advance(5)
      expect(await backend.cancelExecution(executionId, 'no longer needed')).toEqual({
        outcome: 'cancelled',
        replayed: false,
      })
      expect(await describeOne(backend, executionId)).toMatchObject({
        state: 'terminal.cancelled',
        publicState: 'cancelled',
        reason: 'cancelled_by_operator',
        endedAtMs: clock.nowMs(),
        currentLease: undefined,
      })
      expect(await backend.watch(executionId)).toEqual({
        outcome: 'cancelled',
        reason: 'cancelled_by_operator',
        message: 'no longer needed',
      })
      await refusal(backend.complete(handle), 'execution_not_active')
    })

    it('is answered alike when it is repeated, and changes nothing', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend)
      await backend.cancelExecution(id, 'over')
      for (const reason of ['over', 'another']) {
        const again = () => backend.cancelExecution(id, reason)
        const expected = { outcome: 'cancelled', replayed: true }
        expect(await withoutTrace(opened, again)).toEqual(expected)
      }
    })

    it.each(reachableLeaves.filter((leaf) => !isEnded(leaf)))(
      'leaves nothing to claim and nothing in flight of work that was %s (W9, W22)',
      async (leaf) => {
        const opened = await open()
        const { backend, clock, dump } = opened
        const { id } = await bring(opened, leaf)
        await backend.cancelExecution(id, 'over')
        await clock.advance(100_000_000)
        expect(await claimIds(backend, { lane: leaf })).toEqual([])
        expect(await describeOne(backend, id)).toMatchObject({
          blockedBy: undefined,
          startsAtMs: undefined,
          currentLease: undefined,
        })
        // Only the record, what it holds, the indexes of ended work and the feed know it.
        const local = id.split('-')[1] ?? ''
        const places = [...withoutFeed(await dump())].filter(([, value]) => holds(value, local))
        const names = places.map(([key]) => key.replace(/^\{.*\}:/, '')).sort()
        expect(names).toEqual(['executions', 'terminal'])
      },
    )
  })

  describe('blockExecution', () => {
    it('holds work back until it is unblocked for the same reason', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend)
      await backend.blockExecution(id, 'audit')
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'runnable.blocked',
        publicState: 'blocked',
        blockedBy: 'audit',
      })
      expect(await claimIds(backend)).toEqual([])
      const other = () => backend.unblockExecution(id, 'budget')
      await refusedWithoutTrace(opened, other, 'execution_not_eligible')
      await backend.unblockExecution(id, 'audit')
      expect((await describeOne(backend, id)).blockedBy).toBeUndefined()
      expect(await claimIds(backend)).toEqual([id])
    })

    it('changes nothing when it is repeated, and neither does unblocking', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend)
      await backend.blockExecution(id, 'audit')
      await withoutTrace(opened, () => backend.blockExecution(id, 'audit'))
      const other = () => backend.blockExecution(id, 'budget')
      await refusedWithoutTrace(opened, other, 'execution_not_eligible')
      await backend.unblockExecution(id, 'audit')
      await withoutTrace(opened, () => backend.unblockExecution(id, 'audit'))
    })

    it.each(['delayed.start', 'delayed.retry'] as const)(
      'keeps the time of work that is %s (W16)',
      async (leaf) => {
        const opened = await open()
        const { backend, clock } = opened
        const { id } = await bring(opened, leaf)
        const { startsAtMs } = await describeOne(backend, id)
        await backend.blockExecution(id, 'audit')
        await backend.unblockExecution(id, 'audit')
        expect(await describeOne(backend, id)).toMatchObject({ state: leaf, startsAtMs })
        await backend.blockExecution(id, 'audit')
        await clock.set(startsAtMs ?? 0)
        expect(await claimIds(backend, { lane: leaf })).toEqual([])
        await backend.unblockExecution(id, 'audit')
        expect(await claimIds(backend, { lane: leaf })).toEqual([id])
      },
    )
  })

  describe('replayExecution', () => {
    it('starts ended work afresh, and counts attempts and epochs on (W29)', async () => {
      const { backend, clock } = await open()
      const retry = { attempts: 2, delayMs: 1 }
      const first = await submitAndClaim(backend, { retry })
      const id = first.executionId
      await backend.revokeLease(id)
      const second = await claimOne(backend)
      await backend.fail(second.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const third = await claimOne(backend)
      await backend.progress(third.handle, 90, 'nearly')
      await backend.fail(third.handle, { message: 'oops' }, 'permanent')
      const endedAtMs = clock.nowMs()
      await clock.advance(1000)
      expect(await backend.replayExecution(id)).toEqual({ replays: 1 })
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'runnable.ready',
        endedAtMs: undefined,
        reason: undefined,
        failureClass: undefined,
        retries: 0,
        reclaims: 0,
        replays: 1,
        totalAttempts: 3,
        currentLease: undefined,
        progress: { percent: undefined, message: undefined },
      })
      expect((await describeOne(backend, id)).endedAttempts.at(-1)).toMatchObject({
        attempt: 2,
        type: 'retry',
        endedAtMs,
        how: 'failed',
      })
      const fourth = await claimOne(backend)
      expect(fourth).toMatchObject({ attempt: 3, attemptType: 'replay' })
      expect(fourth.epoch).toBeGreaterThan(third.epoch)
      const again = await backend.fail(fourth.handle, { message: 'oops' }, 'transient')
      expect(again.outcome).toBe('retry_scheduled')
    })

    it.each(['terminal.completed', 'terminal.failed', 'terminal.cancelled'] as const)(
      'forgets how work that was %s had ended (W29)',
      async (leaf) => {
        const opened = await open()
        const { backend } = opened
        const { id } = await bring(opened, leaf)
        await backend.replayExecution(id)
        expect(await backend.watch(id)).toEqual({ outcome: 'pending', state: 'runnable.ready' })
        await backend.complete((await claimOne(backend, { lane: leaf })).handle)
        expect(await backend.watch(id)).toEqual({ outcome: 'completed', result: undefined })
      },
    )

    it('begins the first attempt of work that never had one', async () => {
      const { backend } = await open()
      const id = await submit(backend)
      await backend.cancelExecution(id, 'over')
      await backend.replayExecution(id)
      expect(await claimOne(backend)).toMatchObject({ attempt: 0, attemptType: 'initial' })
      expect((await describeOne(backend, id)).endedAttempts).toEqual([])
    })

    it('starts parked work that was cancelled with a new attempt', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.delay(handle, 0)
      await backend.cancelExecution(executionId, 'over')
      await backend.replayExecution(executionId)
      expect(await stateOf(backend, executionId)).toBe('runnable.ready')
      expect(await claimOne(backend)).toMatchObject({ attempt: 1, attemptType: 'replay' })
    })

    it('drops a deadline that has passed and keeps one that has not', async () => {
      const { backend, clock } = await open()
      const late = await submit(backend, { deadlineMs: 100 })
      const early = await submit(backend, { deadlineMs: 1000 })
      const deadlineAtMs = clock.nowMs() + 1000
      await backend.cancelExecution(late, 'over')
      await backend.cancelExecution(early, 'over')
      await clock.advance(100)
      await backend.replayExecution(late)
      await backend.replayExecution(early)
      expect((await describeOne(backend, late)).deadlineAtMs).toBeUndefined()
      expect((await describeOne(backend, early)).deadlineAtMs).toBe(deadlineAtMs)
      await clock.advance(900)
      expect(await claimIds(backend)).toEqual([late])
    })

    it('is recognised by its id when it is repeated, also after more has happened', async () => {
      const opened = await open()
      const { backend } = opened
      const { id } = await bring(opened, 'terminal.completed')
      const replay = () => backend.replayExecution(id, 'request-1')
      expect(await replay()).toEqual({ replays: 1 })
      expect(await withoutTrace(opened, replay)).toEqual({ replays: 1 })
      await claimOne(backend, { lane: 'terminal.completed' })
      expect(await withoutTrace(opened, replay)).toEqual({ replays: 1 })
      const other = () => backend.replayExecution(id, 'request-2')
      await refusedWithoutTrace(opened, other, 'execution_not_terminal')
    })

    it('can be done ten times', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend)
      for (let replays = 1; replays <= 10; replays++) {
        await backend.cancelExecution(id, 'over')
        expect(await backend.replayExecution(id)).toEqual({ replays })
      }
      await backend.cancelExecution(id, 'over')
      const once = () => backend.replayExecution(id)
      await refusedWithoutTrace(opened, once, 'max_replays_exhausted', { replays: '10' })
    })
  })

  describe('purgeExecution', () => {
    it.each(reachableLeaves)('forgets only ended work: %s', async (leaf) => {
      const opened = await open()
      const { backend } = opened
      const { id } = await bring(opened, leaf)
      const purge = () => backend.purgeExecution(id)
      if (!isEnded(leaf)) {
        await refusedWithoutTrace(opened, purge, 'execution_not_terminal', { state: leaf })
        return
      }
      expect(await purge()).toEqual({ outcome: 'purged' })
      expect(await backend.describeExecution(id)).toBeUndefined()
      expect(await withoutTrace(opened, purge)).toEqual({ outcome: 'absent' })
    })

    it('leaves nothing of the execution behind but what the feed tells', async () => {
      const { backend, clock, dump } = await open()
      const before = await dump()
      const { executionId, handle } = await submitAndClaim(backend, {
        idempotencyKey: 'key',
        capabilities: [],
        tags: { name: 'value' },
        retry: { attempts: 2, delayMs: 1 },
        deadlineMs: 100_000,
      })
      await backend.progress(handle, 10, 'note')
      await backend.fail(handle, { message: 'oops', detail: bytes('more') }, 'transient')
      await clock.advance(1)
      await backend.complete((await claimOne(backend)).handle, bytes('result'))
      await backend.purgeExecution(executionId)
      const left = [...(await dump()).keys()].filter((key) => !before.has(key))
      expect(left.map((key) => key.replace(/^\{.*\}:/, ''))).toEqual(['feed', 'lanes'])
    })
  })
}

/** Whether a dumped value mentions the execution; servers dump bytes in hexadecimal. */
function holds(value: string, local: string): boolean {
  return value.includes(local) || value.includes(Buffer.from(local).toString('hex'))
}
