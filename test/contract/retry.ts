// Retries: which failures are tried again, how often and when.
import { describe, expect, it } from 'vitest'
import { failureClasses } from '../../src/limits.ts'
import type { EngineBackend, FailureClass, RetryPolicy } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimIds,
  claimOne,
  describeOne,
  stateOf,
  submit,
  submitAndClaim,
} from '../support/executions.ts'

const day = 86_400_000

function failed(backend: EngineBackend, how: FailureClass = 'transient') {
  return claimOne(backend).then(({ handle }) => backend.fail(handle, { message: 'oops' }, how))
}

export function describeRetry(open: Open): void {
  describe('retries', () => {
    it('do not happen without a policy', async () => {
      const { backend } = await open()
      const id = await submit(backend)
      expect(await failed(backend)).toEqual({ outcome: 'failed', replayed: false })
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'terminal.failed',
        reason: 'failed',
        failureClass: 'transient',
        retries: 0,
        totalAttempts: 1,
      })
    })

    it('happen until all attempts of the policy are used', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { retry: { attempts: 3 } })
      const outcomes = []
      for (let round = 0; round < 3; round++) {
        outcomes.push((await failed(backend)).outcome)
        await clock.advance(60_000)
      }
      expect(outcomes).toEqual(['retry_scheduled', 'retry_scheduled', 'failed'])
      expect(await describeOne(backend, id)).toMatchObject({ retries: 2, totalAttempts: 3 })
    })

    it.each<[string, RetryPolicy, number[]]>([
      ['one second by default', { attempts: 4 }, [1000, 1000, 1000]],
      ['a fixed time', { attempts: 4, backoff: 'fixed', delayMs: 7 }, [7, 7, 7]],
      [
        'twice as long each time, up to a minute',
        { attempts: 9, backoff: 'exponential' },
        [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000],
      ],
      [
        'whole milliseconds only (W48)',
        { attempts: 4, backoff: 'exponential', delayMs: 333, multiplier: 1.5 },
        [333, 499, 749],
      ],
      [
        'no longer than the longest wait',
        { attempts: 5, backoff: 'exponential', delayMs: 5, multiplier: 10, maxDelayMs: 77 },
        [5, 50, 77, 77],
      ],
      [
        'the longest wait from the start when the first one would be longer',
        { attempts: 3, backoff: 'exponential', delayMs: 100, maxDelayMs: 10 },
        [10, 10],
      ],
      [
        'longer than a minute when the first wait is',
        { attempts: 3, backoff: 'exponential', delayMs: 120_000 },
        [120_000, 120_000],
      ],
      [
        'at most 30 days, whatever the multiplier',
        {
          attempts: 4,
          backoff: 'exponential',
          delayMs: day,
          maxDelayMs: 30 * day,
          multiplier: 100,
        },
        [day, 30 * day, 30 * day],
      ],
    ])('wait %s', async (_what, retry, waits) => {
      const { backend, clock } = await open()
      await submit(backend, { retry })
      const seen = []
      for (const wait of waits) {
        const answer = await failed(backend)
        seen.push(answer.outcome === 'retry_scheduled' ? answer.retryAtMs - clock.nowMs() : answer)
        await clock.advance(wait)
      }
      expect(seen).toEqual(waits)
    })

    it('can be claimed at their time and not before, by no scanner', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { retry: { attempts: 2, delayMs: 500 } })
      await failed(backend)
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'delayed.retry',
        publicState: 'delayed',
        startsAtMs: clock.nowMs() + 500,
        currentLease: undefined,
        failureClass: 'transient',
      })
      await clock.advance(499)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimOne(backend)).toMatchObject({
        executionId: id,
        attempt: 1,
        attemptType: 'retry',
        handle: { kind: 'fresh' },
      })
    })

    it('are drawn evenly between nothing and the computed wait when there is jitter', async () => {
      const { backend, clock } = await open()
      const waits: number[] = []
      for (let round = 0; round < 40; round++) {
        await submit(backend, { retry: { attempts: 2, delayMs: 1000, jitter: true } })
        const answer = await failed(backend)
        if (answer.outcome === 'retry_scheduled') waits.push(answer.retryAtMs - clock.nowMs())
      }
      expect(waits).toHaveLength(40)
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(1)
      expect(Math.max(...waits)).toBeLessThanOrEqual(1000)
      expect(new Set(waits).size).toBeGreaterThan(10)
    })

    it.each([
      ['transient', true],
      ['infra_crash', true],
      ['timeout', false],
      ['permanent', false],
      ['cancelled', false],
    ] as const)('by default for class %s: %s (W39)', async (how, isRetried) => {
      const { backend } = await open()
      const id = await submit(backend, { retry: { attempts: 2 } })
      expect((await failed(backend, how)).outcome).toBe(isRetried ? 'retry_scheduled' : 'failed')
      expect((await describeOne(backend, id)).failureClass).toBe(how)
    })

    it.each(failureClasses)(
      'happen for class %s alone when the policy says so (W39)',
      async (how) => {
        const { backend } = await open()
        for (const other of failureClasses) {
          await submit(backend, { retry: { attempts: 2, on: [how] } })
          const { outcome } = await failed(backend, other)
          expect([other, outcome]).toEqual([other, other === how ? 'retry_scheduled' : 'failed'])
        }
      },
    )

    it('happen for all classes, with the longest policy there is', async () => {
      const { backend } = await open()
      const most = { attempts: 10_001, delayMs: 30 * day, maxDelayMs: 30 * day, multiplier: 100 }
      const retry = { ...most, backoff: 'exponential', jitter: true, on: failureClasses } as const
      for (const how of failureClasses) {
        await submit(backend, { retry })
        expect((await failed(backend, how)).outcome).toBe('retry_scheduled')
      }
    })

    it('happen for no class when the policy names none', async () => {
      const { backend } = await open()
      await submit(backend, { retry: { attempts: 2, on: [] } })
      expect((await failed(backend)).outcome).toBe('failed')
    })

    it('are not scheduled when the deadline comes first', async () => {
      const { backend } = await open()
      await submit(backend, { retry: { attempts: 2, delayMs: 1000 }, deadlineMs: 1000 })
      expect((await failed(backend)).outcome).toBe('failed')
      await submit(backend, { retry: { attempts: 2, delayMs: 1000 }, deadlineMs: 1001 })
      expect((await failed(backend)).outcome).toBe('retry_scheduled')
    })

    it('leave a trace of each failed attempt', async () => {
      const { backend, clock } = await open()
      const startedAtMs = clock.nowMs()
      const { epoch, executionId, handle } = await submitAndClaim(backend, {
        retry: { attempts: 2, delayMs: 10 },
      })
      await clock.advance(5)
      await backend.fail(handle, { message: 'oops' }, 'infra_crash')
      expect((await describeOne(backend, executionId)).endedAttempts).toEqual([
        {
          attempt: 0,
          type: 'initial',
          epoch,
          worker: 'worker',
          startedAtMs,
          endedAtMs: clock.nowMs(),
          how: 'infra_crash',
        },
      ])
    })

    it('are not used up by reclaims, nor reclaims by retries', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { retry: { attempts: 2, delayMs: 1 }, reclaimsMax: 1 })
      await claimOne(backend)
      await clock.advance(30_000)
      expect((await failed(backend)).outcome).toBe('retry_scheduled')
      await clock.advance(1)
      expect(await describeOne(backend, id)).toMatchObject({ retries: 1, reclaims: 1 })
      expect((await failed(backend)).outcome).toBe('failed')
    })

    it('leave no failure behind when the work succeeds in the end', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { retry: { attempts: 3, delayMs: 1 } })
      await failed(backend)
      await clock.advance(1)
      await backend.complete((await claimOne(backend)).handle)
      expect(await backend.watch(id)).toEqual({ outcome: 'completed', result: undefined })
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'terminal.completed',
        failureClass: undefined,
        reason: undefined,
      })
    })

    it.each([
      ['percent', 80, undefined],
      ['message', undefined, 'nearly'],
      ['percent and message', 80, 'nearly'],
    ] as const)('start without the %s of the attempt before', async (_what, percent, message) => {
      const { backend, clock } = await open()
      const retry = { attempts: 2, delayMs: 1 }
      const { executionId, handle } = await submitAndClaim(backend, { retry })
      await backend.progress(handle, percent, message)
      await backend.fail(handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      await claimOne(backend)
      const { progress } = await describeOne(backend, executionId)
      expect(progress).toEqual({ percent: undefined, message: undefined })
    })

    it('tell the last failure when they are used up', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { retry: { attempts: 2, delayMs: 1 } })
      await failed(backend)
      await clock.advance(1)
      const { handle } = await claimOne(backend)
      const reason = { message: 'for good', detail: bytes('stack') }
      await backend.fail(handle, reason, 'permanent')
      expect(await backend.watch(id)).toEqual({
        outcome: 'failed',
        reason: 'failed',
        failureClass: 'permanent',
        failure: reason,
      })
      expect(await stateOf(backend, id)).toBe('terminal.failed')
    })
  })
}
