// The rolling document of an attempt: merge patches, exact to the digit, applied once.
import { describe, expect, it } from 'vitest'
import type { EngineBackend, Handle } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  frame,
  readAll,
  refusal,
  refusedWithoutTrace,
  submitAndClaim,
  textsOf,
  withoutTrace,
} from '../support/executions.ts'

function patch(backend: EngineBackend, handle: Handle, text: string, seq?: number) {
  return backend.appendFrame(handle, frame(text, { mode: 'summary', seq }))
}

const nested = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`

export function describeSummaries(open: Open): void {
  describe('a summary', () => {
    it('is not there until something was summarized', async () => {
      const opened = await open()
      const { executionId, handle } = await submitAndClaim(opened.backend)
      await opened.backend.appendFrame(handle, frame('a'))
      const read = () => opened.backend.readSummary(executionId, 0)
      expect(await withoutTrace(opened, read)).toBeUndefined()
    })

    it('is what the patches make of it, with a version and a time', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      expect(await patch(backend, handle, '{"text":"a","n":{"x":1,"y":null}}')).toEqual({
        outcome: 'appended',
        number: 1,
        frameCount: 1,
        summaryVersion: 1,
        replayed: false,
      })
      await clock.advance(7)
      await patch(backend, handle, '{"text":"ab","n":{"x":null,"z":[1,{"k":null}]}}')
      expect(await backend.readSummary(executionId, 0)).toEqual({
        document: '{"text":"ab","n":{"z":[1,{"k":null}]}}',
        version: 2,
        updatedAtMs: clock.nowMs(),
      })
    })

    it('tells each patch as a frame with the version that it made', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.appendFrame(handle, frame('before'))
      for (const text of ['{"a":1}', '{"a":2}']) await patch(backend, handle, text)
      const { frames } = await readAll(backend, executionId)
      expect(frames.map((found) => [found.mode, found.encoding, found.summaryVersion])).toEqual([
        ['durable', 'utf8', undefined],
        ['summary', 'json', 1],
        ['summary', 'json', 2],
      ])
      expect(textsOf({ frames } as never)).toEqual(['before', '{"a":1}', '{"a":2}'])
    })

    it('keeps numbers, empty arrays and empty objects as they were written (S-W28)', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      const text =
        '{"big":12345678901234567890,"small":1.23456789012345678e-9,"zero":-0.0,"list":[],"o":{}}'
      await patch(backend, handle, text)
      await patch(backend, handle, '{"o":{},"more":[[],{}, 9007199254740993 ]}')
      expect((await backend.readSummary(executionId, 0))?.document).toBe(
        `${text.slice(0, -1)},"more":[[],{},9007199254740993]}`,
      )
    })

    it('is changed once, however often its patch is sent', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      await patch(backend, handle, '{"a":1}', 1)
      const again = () => patch(backend, handle, '{"a":1}', 1)
      expect(await withoutTrace(opened, again)).toMatchObject({
        number: 1,
        summaryVersion: 1,
        replayed: true,
      })
      await refusedWithoutTrace(opened, () => patch(backend, handle, '{}', 3), 'frame_gap')
      expect(await backend.readSummary(executionId, 0)).toMatchObject({ version: 1 })
    })

    it('loses no patch when several processes under one lease change it at once', async () => {
      const { backend, peer } = await open()
      const other = await peer()
      const { executionId, handle } = await submitAndClaim(backend)
      await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          patch(at % 2 === 0 ? backend : other.backend, handle, `{"k${at}":${at}}`),
        ),
      )
      const found = await backend.readSummary(executionId, 0)
      expect(found?.version).toBe(20)
      expect(Object.keys(JSON.parse(found?.document ?? '')).sort()).toEqual(
        Array.from({ length: 20 }, (_, at) => `k${at}`).sort(),
      )
    })

    it('belongs to its attempt, and outlasts trimming and the end', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await patch(backend, handle, '{"first":true}')
      const live = frame('x', { mode: 'live' })
      await Promise.all(Array.from({ length: 1200 }, () => backend.appendFrame(handle, live)))
      await backend.revokeLease(executionId)
      const next = await claimOne(backend)
      await patch(backend, next.handle, '{"second":true}')
      await backend.complete(next.handle)
      expect(await backend.readSummary(executionId, 0)).toMatchObject({
        document: '{"first":true}',
        version: 1,
      })
      expect(await backend.readSummary(executionId, 1)).toMatchObject({
        document: '{"second":true}',
        version: 1,
      })
      expect(await backend.readSummary(executionId, 2)).toBeUndefined()
    })

    it('that does not parse is told as corruption, and left as it is', async () => {
      const opened = await open()
      const { backend, store } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const [, , attempt, lease_id = '', epoch] = handle.opaque.split('|')
      const [partition, id = ''] = executionId.split('-')
      const fence = { id, attempt: Number(attempt), lease_id, epoch: Number(epoch) }
      const said = { type: 'log', correlation: undefined, seq: undefined, payload: bytes('{}') }
      const args = { ...fence, ...said, base: 0, document: bytes('{"a":') }
      const answer = await store.call(Number(partition), 'stream.summarize', args)
      expect(answer.outcome).toBe('summarized')
      await refusedWithoutTrace(opened, () => patch(backend, handle, '{"b":1}'), 'corruption')
    })

    it.each([
      ['nothing', ''],
      ['no JSON', '{"a":1'],
      ['more than JSON', '{} {}'],
      ['a number', '7'],
      ['null', 'null'],
      ['an array', '[{"a":1}]'],
      ['a byte order mark', '\ufeff{}'],
      ['17 levels', nested(17)],
      ['17 levels of arrays', `{"a":${'['.repeat(16)}${']'.repeat(16)}}`],
    ])('takes no patch that is %s', async (_what, text) => {
      const opened = await open()
      const { handle } = await submitAndClaim(opened.backend)
      const call = () => patch(opened.backend, handle, text)
      await refusedWithoutTrace(opened, call, 'invalid_input', { argument: 'payload' })
    })

    it('takes no patch that is not UTF-8, and one of 16 levels', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      const payload = Buffer.from('{"a":"\xff"}', 'latin1')
      const call = backend.appendFrame(handle, { type: 'log', payload, mode: 'summary' })
      await refusal(call, 'invalid_input', { argument: 'payload' })
      await patch(backend, handle, nested(16))
      expect((await backend.readSummary(executionId, 0))?.document).toBe(nested(16))
    })

    it('may be 256 KiB and not a byte more', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      // {"0":"…","1":"…",…}: the last value makes it exactly as long as may be.
      for (let at = 0; at < 4; at++)
        await patch(backend, handle, `{"${at}":"${'x'.repeat(60_000)}"}`)
      const sizeOf = async () =>
        bytes((await backend.readSummary(executionId, 0))?.document ?? '').byteLength
      const left = 262_144 - (await sizeOf()) - ',"4":""'.length
      const tooLong = () => patch(backend, handle, `{"4":"${'x'.repeat(left + 1)}"}`)
      await refusedWithoutTrace(opened, tooLong, 'invalid_input', { argument: 'payload' })
      await patch(backend, handle, `{"4":"${'x'.repeat(left)}"}`)
      expect(await sizeOf()).toBe(262_144)
      await patch(backend, handle, '{"4":null}')
      expect(await sizeOf()).toBeLessThan(262_144)
    })
  })
}
