// The end of a stream: every way in which an attempt ends closes it in the same step.
import { describe, expect, it } from 'vitest'
import type { Submission } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  frame,
  readAll,
  refusal,
  refusedWithoutTrace,
  submit,
  submitAndClaim,
  sweepAll,
  textsOf,
  withoutTrace,
} from '../support/executions.ts'

interface End {
  readonly reason: string
  readonly submission?: Partial<Submission>
  readonly act: (opened: OpenedBackend, claimed: Claimed) => Promise<unknown>
}

type Claimed = Awaited<ReturnType<typeof submitAndClaim>>

const retry = { attempts: 3, delayMs: 10_000, on: ['transient', 'timeout'] } as const

const ends: Readonly<Record<string, End>> = {
  'is completed': {
    reason: 'attempt_success',
    act: ({ backend }, { handle }) => backend.complete(handle, bytes('result')),
  },
  fails: {
    reason: 'attempt_failure',
    act: ({ backend }, { handle }) => backend.fail(handle, { message: 'oops' }, 'permanent'),
  },
  'fails and is retried': {
    reason: 'attempt_failure',
    submission: { retry },
    act: ({ backend }, { handle }) => backend.fail(handle, { message: 'oops' }, 'transient'),
  },
  'is cancelled by its worker': {
    reason: 'attempt_cancelled',
    act: ({ backend }, { handle }) => backend.cancel(handle, 'no need'),
  },
  'is cancelled by an operator': {
    reason: 'attempt_cancelled',
    act: ({ backend }, { executionId }) => backend.cancelExecution(executionId, 'no need'),
  },
  'is cancelled while it is parked': {
    reason: 'attempt_cancelled',
    act: async ({ backend }, { handle, executionId }) => {
      await backend.delay(handle, 0)
      await backend.cancelExecution(executionId, 'no need')
    },
  },
  'reaches the deadline of the execution': {
    reason: 'expired',
    submission: { deadlineMs: 500 },
    act: async (opened) => {
      await opened.clock.advance(500)
      await sweepAll(opened.backend)
    },
  },
  'takes too long': {
    reason: 'attempt_timeout',
    submission: { attemptTimeoutMs: 500 },
    act: async (opened) => {
      await opened.clock.advance(500)
      await sweepAll(opened.backend)
    },
  },
  'takes too long and is retried': {
    reason: 'attempt_timeout',
    submission: { attemptTimeoutMs: 500, retry },
    act: async (opened) => {
      await opened.clock.advance(500)
      await sweepAll(opened.backend)
    },
  },
  'is reclaimed': {
    reason: 'reclaimed',
    act: async ({ backend, clock }, { executionId }) => {
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await readAll(backend, executionId)).toMatchObject({ ended: false })
      await claimOne(backend)
    },
  },
  'loses its last lease': {
    reason: 'max_reclaims_exceeded',
    submission: { reclaimsMax: 0 },
    act: ({ backend }, { executionId }) => backend.revokeLease(executionId),
  },
}

export function describeStreamEnds(open: Open): void {
  describe('the end of a stream', () => {
    it.each(Object.entries(ends))('comes when its attempt %s (S-R12)', async (_how, end) => {
      const opened = await open()
      const { backend } = opened
      const claimed = await submitAndClaim(backend, end.submission, { leaseMs: 1000 })
      const { executionId, handle } = claimed
      await backend.appendFrame(handle, frame('a'))
      await backend.appendFrame(handle, frame('b', { mode: 'live' }))
      await end.act(opened, claimed)
      const page = await withoutTrace(opened, () => readAll(backend, executionId))
      expect(page).toMatchObject({ ended: true, closedReason: end.reason, frameCount: 2 })
      expect(textsOf(page)).toEqual(['a', 'b'])
      const late = () => backend.appendFrame(handle, frame('late'))
      const error = await late().catch((thrown: unknown) => thrown)
      const { code } = error as { code: 'stale_lease' | 'execution_not_active' }
      expect(['stale_lease', 'execution_not_active']).toContain(code)
      await refusedWithoutTrace(opened, late, code)
    })

    it.each(Object.entries(ends))('costs nothing without one, when it %s', async (_how, end) => {
      const opened = await open()
      const claimed = await submitAndClaim(opened.backend, end.submission, { leaseMs: 1000 })
      await end.act(opened, claimed)
      const keys = [...(await opened.dump()).keys()]
      expect(keys.filter((key) => /streams|frames|live:|summary/.test(key))).toEqual([])
      const page = await readAll(opened.backend, claimed.executionId)
      expect(page).toMatchObject({ frames: [], ended: true, closedReason: undefined })
    })

    it('keeps its first reason', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend, { retry })
      await backend.appendFrame(handle, frame('a'))
      await backend.fail(handle, { message: 'oops' }, 'transient')
      await clock.advance(10_000)
      await backend.cancelExecution(executionId, 'enough')
      expect((await readAll(backend, executionId)).closedReason).toBe('attempt_failure')
    })

    it('is not there yet for attempts that are to come', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend, { retry })
      await backend.fail(handle, { message: 'oops' }, 'transient')
      expect(await readAll(backend, executionId, 0)).toMatchObject({ ended: true })
      expect(await readAll(backend, executionId, 1)).toMatchObject({ ended: false })
      await clock.advance(10_000)
      const next = await claimOne(backend)
      expect(await readAll(backend, executionId, 1)).toMatchObject({ ended: false })
      await backend.complete(next.handle)
      expect(await readAll(backend, executionId, 1)).toMatchObject({ ended: true })
      expect(await readAll(backend, executionId, 2)).toMatchObject({ ended: true })
      const waiting = await submit(backend)
      expect(await readAll(backend, waiting, 0)).toMatchObject({ ended: false })
    })

    it('is only reached with the last frame', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      for (const text of ['a', 'b']) await backend.appendFrame(handle, frame(text))
      await backend.complete(handle)
      const first = await backend.readStream(executionId, 0, { count: 1 })
      expect(first).toMatchObject({ ended: false, closedReason: 'attempt_success', hasMore: true })
      const ranged = await backend.readStream(executionId, 0, { to: 1, count: 9 })
      expect(ranged).toMatchObject({ ended: false, hasMore: false })
      expect(await backend.readStream(executionId, 0, { from: 2, count: 1 })).toMatchObject({
        ended: true,
      })
    })

    it('leaves the newest 100 live frames to those who are behind', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await Promise.all(
        Array.from({ length: 150 }, () =>
          backend.appendFrame(handle, frame('x', { mode: 'live' })),
        ),
      )
      await backend.complete(handle)
      const page = await readAll(backend, executionId)
      expect(page).toMatchObject({ firstRetained: 51, frameCount: 150, nextCursor: 150 })
      expect(page.frames).toHaveLength(100)
    })

    it('outlasts a replay, whose attempt has a stream of its own', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.appendFrame(handle, frame('a'))
      await backend.complete(handle)
      await backend.replayExecution(executionId)
      expect(await readAll(backend, executionId, 0)).toMatchObject({
        ended: true,
        closedReason: 'attempt_success',
      })
      expect(await readAll(backend, executionId, 1)).toMatchObject({ ended: false })
      const again = await claimOne(backend)
      await backend.appendFrame(again.handle, frame('b'))
      expect(textsOf(await readAll(backend, executionId, 1))).toEqual(['b'])
      await refusal(backend.appendFrame(handle, frame('late')), 'stale_lease')
    })
  })
}
