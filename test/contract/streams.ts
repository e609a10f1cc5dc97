// Attempt streams: frames are numbered, kept byte for byte, appended once, and read in order.
import { describe, expect, it } from 'vitest'
import { formatExecutionId } from '../../src/ids.ts'
import type { EngineBackend, Handle } from '../../src/persistence/backend.ts'
import type { Frame } from '../../src/persistence/frames.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  describeOne,
  frame,
  readAll,
  refusal,
  refusedWithoutTrace,
  submit,
  submitAndClaim,
  textsOf,
  withoutTrace,
} from '../support/executions.ts'
import { withoutFeed } from '../support/feed.ts'

const everyByte = Uint8Array.from({ length: 256 }, (_, value) => value)

const payloads: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array(0)],
  ['one zero', Uint8Array.of(0)],
  ['every byte there is', everyByte],
  ['a view into a larger buffer', new Uint8Array(everyByte.buffer, 9, 30)],
  ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80)],
  ['what looks like a header', bytes('1 d b 0 - log -\n')],
  ['line breaks only', bytes('\n\n')],
  ['64 KiB', new Uint8Array(65_536).fill(0x80)],
]

/** Appends texts in one turn, in order. */
function appendAll(
  backend: EngineBackend,
  handle: Handle,
  texts: readonly string[],
  overrides: Partial<Frame> = {},
) {
  return Promise.all(texts.map((text) => backend.appendFrame(handle, frame(text, overrides))))
}

const numbersOf = ({ frames }: { frames: readonly { number: number }[] }) =>
  frames.map(({ number }) => number)

export function describeStreams(open: Open): void {
  describe('a stream', () => {
    it('is empty and open as long as nothing was appended', async () => {
      const opened = await open()
      const { executionId } = await submitAndClaim(opened.backend)
      const read = () => readAll(opened.backend, executionId)
      expect(await withoutTrace(opened, read)).toEqual({
        frames: [],
        nextCursor: 0,
        hasMore: false,
        frameCount: 0,
        ended: false,
        closedReason: undefined,
        firstRetained: undefined,
      })
      const other = await opened.backend.readStream(executionId, 7, { from: 5, count: 1 })
      expect(other).toMatchObject({ frames: [], nextCursor: 4, ended: false })
    })

    it('numbers frames from 1 and keeps what was said of each', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      expect(await backend.appendFrame(handle, { type: 'token', payload: bytes('a') })).toEqual({
        outcome: 'appended',
        number: 1,
        frameCount: 1,
        summaryVersion: undefined,
        replayed: false,
      })
      await clock.advance(5)
      const correlationId = 'call 1\n\u0000größe'
      await backend.appendFrame(handle, frame('{"b":1}', { encoding: 'json', correlationId }))
      await backend.appendFrame(handle, frame('c', { mode: 'live', correlationId: '' }))
      const { frames, ...rest } = await readAll(backend, executionId)
      const common = { correlationId: undefined, summaryVersion: undefined }
      expect(frames.map((found) => ({ ...found, payload: String(found.payload) }))).toEqual([
        {
          ...common,
          number: 1,
          type: 'token',
          mode: 'durable',
          encoding: 'binary',
          payload: 'a',
          atMs: clock.nowMs() - 5,
        },
        {
          ...common,
          number: 2,
          type: 'log',
          mode: 'durable',
          encoding: 'json',
          payload: '{"b":1}',
          correlationId,
          atMs: clock.nowMs(),
        },
        {
          ...common,
          number: 3,
          type: 'log',
          mode: 'live',
          encoding: 'utf8',
          payload: 'c',
          correlationId: '',
          atMs: clock.nowMs(),
        },
      ])
      expect(rest).toEqual({
        nextCursor: 3,
        hasMore: false,
        frameCount: 3,
        ended: false,
        closedReason: undefined,
        firstRetained: 1,
      })
    })

    it.each(payloads)('gives payloads back as they were: %s', async (_what, payload) => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      for (const mode of ['durable', 'live'] as const) {
        await backend.appendFrame(handle, { type: 'blob', payload, mode, correlationId: 'x' })
      }
      const { frames } = await readAll(backend, executionId)
      expect(frames.map((found) => Buffer.compare(found.payload, payload))).toEqual([0, 0])
      frames[0]?.payload.fill(1)
      const again = await readAll(backend, executionId)
      expect(Buffer.compare(again.frames[0]?.payload ?? expect.fail(), payload)).toBe(0)
    })

    it('keeps 300 random payloads apart, each byte for byte', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      const random = Array.from({ length: 300 }, (_, at) =>
        Uint8Array.from(
          { length: (at * 37) % 211 },
          (__, position) => (at * 31 + position * 7) & 255,
        ),
      )
      await Promise.all(
        random.map((payload) => backend.appendFrame(handle, { type: 'blob', payload })),
      )
      const { frames } = await readAll(backend, executionId)
      expect(
        frames.map(({ payload }, at) => Buffer.compare(payload, random[at] as Buffer)),
      ).toEqual(random.map(() => 0))
    })

    it('changes neither the execution nor its lease', async () => {
      const { backend, clock } = await open()
      const { executionId, handle, expiresAtMs } = await submitAndClaim(backend)
      const before = await describeOne(backend, executionId)
      await clock.advance(10)
      await backend.appendFrame(handle, frame('a'))
      const after = await describeOne(backend, executionId)
      expect(after).toEqual(before)
      expect(after.currentLease?.expiresAtMs).toBe(expiresAtMs)
    })

    it('stays open while its attempt is suspended, for nobody to append to (S-W26)', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.appendFrame(handle, frame('before'))
      await backend.progress(handle, 40, 'half way')
      await backend.progress(handle, undefined, 'waiting')
      const outcome = await backend.suspend(handle, [{ key: 'approval' }])
      const state = { state: 'suspended' }
      await refusal(backend.appendFrame(handle, frame('late')), 'execution_not_active', state)
      expect(await readAll(backend, executionId)).toMatchObject({ ended: false, frameCount: 1 })
      if (outcome.outcome !== 'suspended') return expect.fail('nothing had come')
      await backend.deliverSignal({ token: outcome.waitpoints[0]?.token ?? '' })
      const resumed = await claimOne(backend)
      expect(await backend.appendFrame(resumed.handle, frame('after'))).toMatchObject({ number: 2 })
      expect(textsOf(await readAll(backend, executionId))).toEqual(['before', 'after'])
      const { progress } = await describeOne(backend, executionId)
      expect(progress).toEqual({ percent: 40, message: 'waiting' })
    })

    it('goes on when the same attempt continues, and is another in the next attempt', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.appendFrame(handle, frame('a'))
      await backend.delay(handle, 0)
      expect(await readAll(backend, executionId)).toMatchObject({ ended: false })
      await refusal(backend.appendFrame(handle, frame('parked')), 'execution_not_active')
      const resumed = await claimOne(backend)
      expect(await backend.appendFrame(resumed.handle, frame('b'))).toMatchObject({ number: 2 })
      await backend.revokeLease(executionId)
      const next = await claimOne(backend)
      expect(await backend.appendFrame(next.handle, frame('c'))).toMatchObject({ number: 1 })
      expect(textsOf(await readAll(backend, executionId, 0))).toEqual(['a', 'b'])
      expect(textsOf(await readAll(backend, executionId, 1))).toEqual(['c'])
    })

    it('is refused for an execution that is not there', async () => {
      const opened = await open()
      for (const nobody of [formatExecutionId(0, '0'.repeat(26)), `4711-${'0'.repeat(26)}`]) {
        const { backend } = opened
        for (const call of [
          () => readAll(backend, nobody),
          () => backend.tailStream(nobody, 0, { after: 0, waitMs: 0, count: 1 }),
          () => backend.tailStream(nobody, 0, { after: 0, waitMs: 30_000, count: 1 }),
          () => backend.readSummary(nobody, 0),
        ]) {
          await refusedWithoutTrace(opened, call, 'execution_not_found')
        }
      }
    })
  })

  describe('the number of a frame', () => {
    it('makes a repeated append harmless, however late (S-W27)', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const all = ['a', 'b', 'c'].map((text, at) => frame(text, { seq: at + 1 }))
      const batch = () => Promise.all(all.map((one) => backend.appendFrame(handle, one)))
      const first = await batch()
      expect(first.map(({ number, replayed }) => [number, replayed])).toEqual([
        [1, false],
        [2, false],
        [3, false],
      ])
      const again = await withoutTrace(opened, batch)
      expect(
        again.map(({ number, frameCount, replayed }) => [number, frameCount, replayed]),
      ).toEqual([
        [1, 3, true],
        [2, 3, true],
        [3, 3, true],
      ])
      expect(textsOf(await readAll(backend, executionId))).toEqual(['a', 'b', 'c'])
    })

    it('must leave no gap', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const gap = (seq: number) => () => backend.appendFrame(handle, frame('x', { seq }))
      await refusedWithoutTrace(opened, gap(2), 'frame_gap', { last: '0' })
      await backend.appendFrame(handle, frame('a'))
      await refusedWithoutTrace(opened, gap(3), 'frame_gap', { last: '1' })
      await refusedWithoutTrace(opened, gap(Number.MAX_SAFE_INTEGER), 'frame_gap')
    })

    it('counts over all modes', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      for (const [at, mode] of (['live', 'durable', 'summary', 'live'] as const).entries()) {
        await backend.appendFrame(handle, frame('{"a":1}', { mode, seq: at + 1 }))
      }
      const page = await readAll(backend, executionId)
      expect(page.frames.map(({ number, mode }) => [number, mode])).toEqual([
        [1, 'live'],
        [2, 'durable'],
        [3, 'summary'],
        [4, 'live'],
      ])
    })
  })

  describe('readStream', () => {
    it('reads any range of numbers, both ends included', async () => {
      const { backend } = await open()
      const { executionId: id, handle } = await submitAndClaim(backend)
      const modes = ['durable', 'live', 'live', 'durable'] as const
      for (let number = 1; number <= 40; number++) {
        const mode = modes[(number * 7) % 4] ?? 'durable'
        await backend.appendFrame(handle, frame(String(number), { mode }))
      }
      for (let from = 1; from <= 42; from += 3) {
        for (let to = from - 1; to <= 43; to += 4) {
          const page = await backend.readStream(id, 0, { from, to: Math.max(1, to), count: 1000 })
          const last = Math.min(40, Math.max(1, to))
          const wanted = Array.from({ length: Math.max(0, last - from + 1) }, (_, at) => from + at)
          expect(numbersOf(page)).toEqual(wanted)
          expect(page.nextCursor).toBe(Math.max(from - 1, last))
        }
      }
    })

    it('tells after a page where to go on (S-W30)', async () => {
      const { backend } = await open()
      const { executionId: id, handle } = await submitAndClaim(backend)
      await appendAll(backend, handle, ['1', '2', '3', '4', '5'])
      const page = await backend.readStream(id, 0, { from: 'start', to: 'end', count: 2 })
      expect(page).toMatchObject({ nextCursor: 2, hasMore: true, frameCount: 5 })
      const rest = await backend.readStream(id, 0, { from: page.nextCursor + 1, count: 3 })
      expect(textsOf(rest)).toEqual(['3', '4', '5'])
      expect(rest).toMatchObject({ nextCursor: 5, hasMore: false })
      expect(await backend.readStream(id, 0, { to: 3, count: 3 })).toMatchObject({
        nextCursor: 3,
        hasMore: false,
      })
    })

    it('ends a page of large frames early, and loses none of them', async () => {
      const { backend } = await open()
      const { executionId: id, handle } = await submitAndClaim(backend)
      const payload = new Uint8Array(65_536).fill(7)
      await Promise.all(
        Array.from({ length: 150 }, () => backend.appendFrame(handle, { type: 'blob', payload })),
      )
      const found: number[] = []
      for (let from = 1, hasMore = true; hasMore; ) {
        const page = await backend.readStream(id, 0, { from, count: 10_000 })
        expect(page.frames.length).toBeLessThanOrEqual(64)
        found.push(...numbersOf(page))
        hasMore = page.hasMore
        from = page.nextCursor + 1
      }
      expect(found).toEqual(Array.from({ length: 150 }, (_, at) => at + 1))
    })

    it('changes nothing, whatever the state of the work', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await backend.appendFrame(handle, frame('a'))
      await clock.advance(5000)
      const page = await withoutTrace(opened, () => readAll(backend, executionId))
      expect(page).toMatchObject({ ended: false, frameCount: 1 })
    })
  })

  describe('what is kept', () => {
    it('are 10,000 durable frames, whatever else is appended (S-W29, S-C17)', async () => {
      const { backend } = await open()
      const { executionId: id, handle } = await submitAndClaim(backend)
      const texts = (count: number) => Array.from({ length: count }, (_, at) => String(at))
      await appendAll(backend, handle, texts(500))
      await appendAll(backend, handle, ['{"a":1}'], { mode: 'summary' })
      await appendAll(backend, handle, texts(1500), { mode: 'live' })
      const mixed = await readAll(backend, id)
      const kept = mixed.frames.filter(({ mode }) => mode === 'durable')
      expect(kept.map(({ number }) => number)).toEqual(texts(500).map((text) => Number(text) + 1))
      // Trimmed to 1000 whenever there are 1101, last with the 1404th of 1501.
      expect(mixed.frames.length - kept.length).toBe(1097)
      for (let sent = 500; sent < 11_000; sent += 1500)
        await appendAll(backend, handle, texts(1500))
      const page = await readAll(backend, id)
      expect(page.frameCount).toBe(500 + 1 + 1500 + 7 * 1500)
      expect(page.frames.filter(({ mode }) => mode === 'live')).toHaveLength(1097)
      expect(page.hasMore).toBe(true)
      const last = await backend.readStream(id, 0, { from: page.nextCursor + 1, count: 10_000 })
      const durable = [...page.frames, ...last.frames].filter(({ mode }) => mode === 'durable')
      expect(durable).toHaveLength(11_000)
      await backend.appendFrame(handle, frame('one more'))
      const { firstRetained } = await backend.readStream(id, 0, { from: 12_000, count: 1 })
      expect(firstRetained).toBe(905)
      const newest = await backend.readStream(id, 0, { from: 2002, count: 10_000 })
      expect(numbersOf(newest)).toEqual(
        Array.from({ length: 10_000 }, (_, at) => page.frameCount + 1 - 9999 + at),
      )
    })

    it('leaves no key behind once the execution is purged', async () => {
      const opened = await open()
      const { backend } = opened
      const before = await opened.dump()
      const id = await submit(backend, { retry: { attempts: 3, delayMs: 1 } })
      for (let attempt = 0; attempt < 3; attempt++) {
        const { handle } = await claimOne(backend)
        for (const mode of ['durable', 'live', 'summary'] as const) {
          await backend.appendFrame(handle, frame('{"a":1}', { mode }))
        }
        await backend.fail(handle, { message: 'oops' }, 'transient')
        await opened.clock.advance(1)
      }
      const streams = [...(await opened.dump()).keys()].filter((key) => /streams|frames/.test(key))
      expect(streams).toHaveLength(4)
      await backend.purgeExecution(id)
      const after = await opened.dump()
      const keys = (dump: ReadonlyMap<string, string>) =>
        [...withoutFeed(dump).keys()].filter((key) => !/:lanes$|^lanes$/.test(key))
      expect(keys(after)).toEqual(keys(before))
    })
  })
}
