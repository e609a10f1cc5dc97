// Tailing: a reader waits for frames without asking again and again, and misses none.
import { describe, expect, it } from 'vitest'
import { isEngineError } from '../../src/errors.ts'
import type { ExecutionId } from '../../src/ids.ts'
import type { TailRequest } from '../../src/persistence/frames.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  claimOne,
  frame,
  refusal,
  submit,
  submitAndClaim,
  textsOf,
  withoutTrace,
} from '../support/executions.ts'

const waitMs = 30_000

type Reader = Pick<OpenedBackend, 'backend' | 'store'>

/** Starts a tail; `asleep` resolves when it has found nothing and waits. */
function fallAsleep(
  { backend, store }: Reader,
  id: ExecutionId,
  request: Partial<TailRequest & { attempt: number }> = {},
) {
  const { attempt = 0, ...rest } = request
  const from = store.calls.length
  const found = backend.tailStream(id, attempt, { after: 0, waitMs, count: 10, ...rest })
  const asleep = store.until(() =>
    store.calls
      .slice(from)
      .some(({ name, args }) => name === 'stream.tail' && Number(args.wait_ms) > 0),
  )
  return { asleep, found }
}

export function describeTails(open: Open): void {
  describe('tailStream', () => {
    it('is answered at once when there are frames after the cursor', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId: id, handle } = await submitAndClaim(backend)
      for (const text of ['a', 'b', 'c']) await backend.appendFrame(handle, frame(text))
      const tail = (after: number, count = 10) =>
        withoutTrace(opened, () => backend.tailStream(id, 0, { after, waitMs, count }))
      expect(textsOf(await tail(0))).toEqual(['a', 'b', 'c'])
      expect(textsOf(await tail(2))).toEqual(['c'])
      expect(await tail(0, 2)).toMatchObject({ nextCursor: 2, hasMore: true, ended: false })
    })

    it('only has a look when it may not wait', async () => {
      const opened = await open()
      const { executionId: id, handle } = await submitAndClaim(opened.backend)
      await opened.backend.appendFrame(handle, frame('a'))
      const peek = (after: number) =>
        withoutTrace(opened, () => opened.backend.tailStream(id, 0, { after, waitMs: 0, count: 1 }))
      expect(textsOf(await peek(0))).toEqual(['a'])
      expect(await peek(1)).toMatchObject({ frames: [], nextCursor: 1, ended: false })
      expect(await peek(9)).toMatchObject({ frames: [], nextCursor: 9, ended: false })
    })

    it.each(['itself', 'another process'])('is woken by an append of %s', async (whose) => {
      const opened = await open()
      const other = whose === 'itself' ? opened : await opened.peer()
      const { executionId, handle } = await submitAndClaim(opened.backend)
      for (const mode of ['durable', 'live', 'summary'] as const) {
        const after = (await opened.backend.readStream(executionId, 0, { count: 1 })).frameCount
        const tail = fallAsleep(opened, executionId, { after })
        await tail.asleep
        await other.backend.appendFrame(handle, frame('{"a":1}', { mode }))
        const page = await tail.found
        expect(page.frames.map((found) => found.mode)).toEqual([mode])
      }
    })

    it('is woken by the first frame of an attempt that had not begun', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend)
      const tail = fallAsleep(opened, id)
      await tail.asleep
      const { handle } = await claimOne(backend)
      await backend.appendFrame(handle, frame('a'))
      expect(textsOf(await tail.found)).toEqual(['a'])
    })

    it.each(['with frames', 'without'])('is woken by the end of an attempt %s', async (what) => {
      const opened = await open()
      const other = await opened.peer()
      const { executionId, handle } = await submitAndClaim(opened.backend)
      const after = what === 'without' ? 0 : 1
      if (after === 1) await opened.backend.appendFrame(handle, frame('a'))
      const tail = fallAsleep(opened, executionId, { after })
      await tail.asleep
      await other.backend.complete(handle)
      const closedReason = after === 1 ? 'attempt_success' : undefined
      expect(await tail.found).toMatchObject({ frames: [], ended: true, closedReason })
    })

    it('reads what came before the end, then the end (S-C16)', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const tail = fallAsleep(opened, executionId, { count: 2 })
      await tail.asleep
      await Promise.all([
        ...['a', 'b', 'c'].map((text) => backend.appendFrame(handle, frame(text))),
        backend.complete(handle),
      ])
      const first = await tail.found
      expect(textsOf(first)).toEqual(['a', 'b'])
      expect(first).toMatchObject({ hasMore: true, ended: false })
      const request = { after: first.nextCursor, waitMs, count: 2 }
      const rest = await backend.tailStream(executionId, 0, request)
      expect(textsOf(rest)).toEqual(['c'])
      expect(rest).toMatchObject({ ended: true, closedReason: 'attempt_success' })
    })

    it('is not woken by other executions, and stays asleep without asking', async () => {
      const opened = await open()
      const { backend, store } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const other = await submitAndClaim(backend)
      const tail = fallAsleep(opened, executionId)
      await tail.asleep
      const asked = store.calls.length
      for (let round = 0; round < 20; round++) await backend.appendFrame(other.handle, frame('x'))
      await backend.complete(other.handle)
      await backend.appendFrame(handle, frame('a'))
      expect(textsOf(await tail.found)).toEqual(['a'])
      const looks = store.calls.slice(asked).filter(({ name }) => name === 'stream.tail')
      expect(looks).toHaveLength(1)
    })

    it('wakes all who wait for the same stream', async () => {
      const opened = await open()
      const readers = [opened, opened, await opened.peer()]
      const { executionId, handle } = await submitAndClaim(opened.backend)
      const tails = readers.map((reader) => fallAsleep(reader, executionId))
      await Promise.all(tails.map(({ asleep }) => asleep))
      await opened.backend.appendFrame(handle, frame('a'))
      const pages = await Promise.all(tails.map(({ found }) => found))
      expect(pages.map(textsOf)).toEqual([['a'], ['a'], ['a']])
    })

    it('never misses a frame that is appended while it falls asleep', async () => {
      const opened = await open()
      const other = await opened.peer()
      const { executionId, handle } = await submitAndClaim(opened.backend)
      for (let round = 0; round < 150; round++) {
        const found = opened.backend.tailStream(executionId, 0, { after: round, waitMs, count: 1 })
        // Each round appends a little later, before, between and after the looks of the tail.
        for (let turn = round % 15; turn > 0; turn--) await nextTurn()
        await other.backend.appendFrame(handle, frame(String(round)))
        expect(textsOf(await found)).toEqual([String(round)])
      }
    })

    it('does not change when the execution was changed', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { executionId } = await submitAndClaim(backend)
      const before = await backend.describeExecution(executionId)
      await clock.advance(5)
      const stop = new AbortController()
      const tail = fallAsleep(opened, executionId, { signal: stop.signal })
      await tail.asleep
      expect(await backend.describeExecution(executionId)).toEqual(before)
      stop.abort()
      expect(await tail.found).toMatchObject({ frames: [], ended: false })
    })

    it('ends with nothing when its time is over', async () => {
      const { backend } = await open()
      const { executionId } = await submitAndClaim(backend)
      const startedMs = performance.now()
      const page = await backend.tailStream(executionId, 0, { after: 0, waitMs: 150, count: 1 })
      const tookMs = performance.now() - startedMs
      expect(page).toMatchObject({ frames: [], nextCursor: 0, ended: false })
      expect(tookMs).toBeGreaterThanOrEqual(145)
      expect(tookMs).toBeLessThan(5000)
    })

    it('does not wait at all when its signal has fired before', async () => {
      const { backend } = await open()
      const { executionId } = await submitAndClaim(backend)
      const request = { after: 0, waitMs, count: 1, signal: AbortSignal.abort() }
      expect(await backend.tailStream(executionId, 0, request)).toMatchObject({ frames: [] })
    })

    it('lets 64 wait at a time, and tells the others when to come back', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const request = { after: 0, waitMs, count: 1 }
      const waiting = Array.from({ length: 64 }, () => backend.tailStream(executionId, 0, request))
      const error = await refusal(backend.tailStream(executionId, 0, request), 'tails_exhausted')
      expect(error).toMatchObject({ family: 'ResourceExhausted', retryable: true })
      expect(error.details).toMatchObject({ max: 64, retryAfterMs: 250 })
      const peek = await backend.tailStream(executionId, 0, { ...request, waitMs: 0 })
      expect(peek.frames).toEqual([])
      await backend.appendFrame(handle, frame('a'))
      const pages = await Promise.all(waiting)
      expect(pages.map(textsOf)).toEqual(waiting.map(() => ['a']))
      expect(textsOf(await backend.tailStream(executionId, 0, request))).toEqual(['a'])
    })

    it('is told when the engine is closed', async () => {
      const opened = await open()
      const reader = await opened.peer()
      const { executionId } = await submitAndClaim(opened.backend)
      const tail = fallAsleep(reader, executionId)
      await tail.asleep
      const ended = tail.found.catch((error: unknown) => error)
      await reader.backend.close()
      expect(isEngineError(await ended, 'engine_closed')).toBe(true)
    })
  })
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
