// Submitting: what is accepted, what is stored, and when the work may start.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimAll,
  claimIds,
  claimOne,
  describeOne,
  refusedWithoutTrace,
  stateOf,
  submit,
  withoutTrace,
  work,
} from '../support/executions.ts'

export function describeSubmit(open: Open): void {
  describe('submit', () => {
    it('stores work with nothing but defaults', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend)
      expect(await describeOne(backend, id)).toEqual({
        executionId: id,
        lane: 'lane',
        task: 'task',
        state: 'runnable.ready',
        publicState: 'waiting',
        priority: 0,
        createdAtMs: clock.nowMs(),
        updatedAtMs: clock.nowMs(),
        endedAtMs: undefined,
        startsAtMs: undefined,
        deadlineAtMs: undefined,
        blockedBy: undefined,
        reason: undefined,
        failureClass: undefined,
        totalAttempts: 0,
        currentAttempt: undefined,
        currentLease: undefined,
        retries: 0,
        reclaims: 0,
        replays: 0,
        progress: { percent: undefined, message: undefined },
        capabilities: [],
        budgets: [],
        gated: false,
        tags: {},
        endedAttempts: [],
      })
    })

    it('stores every option that can be read back', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, {
        priority: 9000,
        delayMs: 1000,
        deadlineMs: 5000,
        capabilities: ['gpu', 'eu', 'gpu'],
        tags: { 'team.name': 'blue', region: 'eu "west"\n' },
      })
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'delayed.start',
        publicState: 'delayed',
        priority: 9000,
        startsAtMs: clock.nowMs() + 1000,
        deadlineAtMs: clock.nowMs() + 5000,
        capabilities: ['eu', 'gpu'],
        tags: { 'team.name': 'blue', region: 'eu "west"\n' },
      })
    })

    it('takes every value at its bounds', async () => {
      const { backend } = await open()
      const day = 86_400_000
      const least = { attemptTimeoutMs: 1, retentionMs: 0, reclaimsMax: 0, delayMs: 0 }
      const most = {
        attemptTimeoutMs: 30 * day,
        retentionMs: 36_500 * day,
        reclaimsMax: 10_000,
        delayMs: 36_499 * day,
        deadlineMs: 36_500 * day,
        lane: 'l'.repeat(64),
        task: 't'.repeat(64),
        idempotencyKey: 'k'.repeat(256),
        input: new Uint8Array(1_048_576),
        retry: { attempts: 10_001, delayMs: 30 * day, maxDelayMs: 30 * day, multiplier: 100 },
        tags: Object.fromEntries(
          Array.from({ length: 40 }, (_, at) => [`t${at}`, '.'.repeat(256)]),
        ),
      }
      expect(await stateOf(backend, await submit(backend, least))).toBe('runnable.ready')
      expect(await stateOf(backend, await submit(backend, most))).toBe('delayed.start')
    })

    it.each([
      ['no delay', (_now: number) => ({ delayMs: 0 })],
      ['a start in the past', (now: number) => ({ startAtMs: now - 1 })],
      ['a start at the dawn of time', (_now: number) => ({ startAtMs: 0 })],
      ['a start at this very millisecond', (now: number) => ({ startAtMs: now })],
    ])('makes work with %s claimable at once (W19)', async (_what, when) => {
      const { backend, clock } = await open()
      const id = await submit(backend, when(clock.nowMs()))
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'runnable.ready',
        startsAtMs: undefined,
      })
      expect(await claimIds(backend)).toEqual([id])
    })

    it.each([
      ['delayMs', (_now: number) => ({ delayMs: 10_000 })],
      ['startAtMs', (now: number) => ({ startAtMs: now + 10_000 })],
      ['delayMs rather than startAtMs', (_now: number) => ({ delayMs: 10_000, startAtMs: 1 })],
    ])('holds work back until the time of %s, by no scanner', async (_what, when) => {
      const { backend, clock } = await open()
      const id = await submit(backend, when(clock.nowMs()))
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(9999)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimIds(backend)).toEqual([id])
    })

    it('prefers deadlineMs to deadlineAtMs', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { deadlineMs: 10, deadlineAtMs: clock.nowMs() + 99 })
      expect((await describeOne(backend, id)).deadlineAtMs).toBe(clock.nowMs() + 10)
    })

    it.each([
      ['a deadline in the past', (now: number) => ({ deadlineAtMs: now - 1 })],
      ['a deadline at this very millisecond', (now: number) => ({ deadlineAtMs: now })],
      ['a deadline of no time', (_now: number) => ({ deadlineMs: 0 })],
      ['a deadline before its start', (_now: number) => ({ delayMs: 10, deadlineMs: 9 })],
      ['a deadline at its start', (_now: number) => ({ delayMs: 10, deadlineMs: 10 })],
    ])('refuses %s', async (_what, when) => {
      const opened = await open()
      const { backend, clock } = opened
      const error = await refusedWithoutTrace(
        opened,
        () => backend.submit(work(when(clock.nowMs()))),
        'invalid_input',
      )
      expect(error.message).toContain('deadline')
    })

    it.each([10, 100_000])('leaves nothing of a refused input of %i bytes behind', async (size) => {
      const opened = await open()
      const { backend } = opened
      const input = new Uint8Array(size).fill(7)
      const kept = work({ input, idempotencyKey: 'key' })
      const { executionId } = await backend.submit(kept)
      const other = { ...kept, input: new Uint8Array(size) }
      await refusedWithoutTrace(opened, () => backend.submit(other), 'idempotency_mismatch')
      const late = work({ input, deadlineMs: 0 })
      await refusedWithoutTrace(opened, () => backend.submit(late), 'invalid_input')
      expect(await withoutTrace(opened, () => backend.submit(kept))).toEqual({
        outcome: 'duplicate',
        executionId,
      })
      await backend.drainLane('lane')
      await refusedWithoutTrace(opened, () => backend.submit(work({ input })), 'lane_closed')
      const [claimed] = await claimAll(backend)
      expect(Buffer.compare(claimed?.input ?? bytes(''), input)).toBe(0)
    })

    it('asks no clock but that of the server (W31)', async () => {
      const { backend, clock } = await open()
      const aheadOfUs = Date.now() + 1000
      expect(clock.nowMs()).toBeGreaterThan(aheadOfUs)
      const id = await submit(backend, { startAtMs: aheadOfUs })
      expect(await stateOf(backend, id)).toBe('runnable.ready')
      expect((await describeOne(backend, id)).createdAtMs).toBe(clock.nowMs())
      const claimed = await claimOne(backend)
      expect(claimed.expiresAtMs).toBe(clock.nowMs() + claimed.leaseMs)
    })

    it('gives ids that sort in the order of submission', async () => {
      const { backend } = await open({ partitions: 1 })
      const ids = []
      for (let round = 0; round < 20; round++) ids.push(await submit(backend))
      expect([...ids].sort()).toEqual(ids)
    })

    it('gives every submission of a bulk its own outcome', async () => {
      const { backend } = await open()
      const outcomes = await backend.submitMany([
        work({ input: bytes('one') }),
        work({ priority: -1 }),
        work({ lane: 'two words' }),
        work({ input: bytes('two'), idempotencyKey: 'key' }),
        work({ input: bytes('three'), idempotencyKey: 'key' }),
        work({ input: bytes('two'), idempotencyKey: 'key' }),
      ])
      expect(outcomes.map(({ outcome }) => outcome)).toEqual([
        'submitted',
        'refused',
        'refused',
        'submitted',
        'refused',
        'duplicate',
      ])
      expect(outcomes[1]).toMatchObject({ error: { code: 'invalid_input' } })
      expect(outcomes[4]).toMatchObject({ error: { code: 'idempotency_mismatch' } })
      expect(outcomes[5]).toMatchObject({
        executionId: Reflect.get(outcomes[3] ?? {}, 'executionId'),
      })
      expect(await claimIds(backend)).toHaveLength(2)
    })

    it('answers a bulk of nothing with nothing', async () => {
      const { backend } = await open()
      expect(await backend.submitMany([])).toEqual([])
    })
  })
}
