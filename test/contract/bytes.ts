// Bytes: what is handed in comes back unchanged, whatever it is.
import { describe, expect, it } from 'vitest'
import type { ClaimedExecution } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimAll,
  claimOne,
  describeOne,
  submit,
  submitAndClaim,
} from '../support/executions.ts'

const everyByte = Uint8Array.from({ length: 256 }, (_, value) => value)

/** A view into the middle of a larger buffer, as slices of network packets are. */
const view = new Uint8Array(everyByte.buffer, 100, 56)

const awkward: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array(0)],
  ['one zero', Uint8Array.of(0)],
  ['every byte there is', everyByte],
  ['every byte there is, in a Buffer', Buffer.from(everyByte)],
  ['a view into a larger buffer', view],
  ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80)],
  ['what looks like an absent argument', bytes('0')],
  ['what looks like a present argument', bytes('1')],
  ['what looks like a command', bytes('*1\r\n$4\r\nPING\r\n')],
  ['1024 bytes', new Uint8Array(1024).fill(0xff)],
  ['1025 bytes', new Uint8Array(1025).fill(0xff)],
  ['a megabyte', new Uint8Array(1_048_576).fill(0x80)],
]

const texts: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['what looks like an absent argument', '0'],
  ['line breaks, tabs and a zero', 'a\r\n\t\u0000b'],
  ['signs from everywhere', 'größe 量子 🧿 \u2028'],
  ['as much as there may be', 'x'.repeat(2048)],
]

export function describeBytes(open: Open): void {
  describe('bytes', () => {
    it.each(awkward)('of an input come back as they were: %s (W24)', async (_what, input) => {
      const { backend } = await open()
      await submit(backend, { input, idempotencyKey: 'key' })
      const claimed = await claimOne(backend)
      expect(Buffer.compare(claimed.input, input)).toBe(0)
      await backend.delay(claimed.handle, 0)
      expect(Buffer.compare((await claimOne(backend)).input, input)).toBe(0)
    })

    it('of many inputs come back with their own executions, in every way to claim', async () => {
      const { backend } = await open()
      const sizes = [0, 1, 1023, 1024, 1025, 5000, 70_000]
      const inputs = new Map<string, Uint8Array>()
      for (const [at, size] of sizes.entries()) {
        const input = new Uint8Array(size).fill(at + 1)
        inputs.set(await submit(backend, { input }), input)
      }
      const check = (claimed: ClaimedExecution | undefined) => {
        const { executionId, input } = claimed ?? expect.fail('nothing was claimed')
        expect(Buffer.compare(input, inputs.get(executionId) ?? expect.fail())).toBe(0)
      }
      const claimed = await claimAll(backend, { leaseId: 'mine' })
      expect(claimed).toHaveLength(sizes.length)
      claimed.map(check)
      const again = await claimAll(backend, { leaseId: 'mine' })
      expect(again).toHaveLength(sizes.length)
      again.map(check)
      for (const { executionId, handle } of claimed) {
        await backend.delay(handle, 0)
        const grant = await backend.issueClaimGrant(executionId, { worker: 'worker' })
        check(await backend.claimResumedExecution({ grant }))
        await backend.revokeLease(executionId)
        const reclaim = await backend.issueReclaimGrant(executionId, { worker: 'worker' })
        check(await backend.claimFromReclaim({ grant: reclaim }))
      }
    })

    it.each(awkward)('of a result come back as they were: %s (W24)', async (_what, result) => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.complete(handle, result)
      const ending = await backend.watch(executionId)
      expect(ending.outcome).toBe('completed')
      const read = (ending.outcome === 'completed' && ending.result) || expect.fail('no result')
      expect(Buffer.compare(read, result)).toBe(0)
    })

    it('of a result that is empty are not the same as no result', async () => {
      const { backend } = await open()
      const ending = async (result: Uint8Array | undefined) => {
        const { executionId, handle } = await submitAndClaim(backend)
        await backend.complete(handle, result)
        const { outcome, ...rest } = await backend.watch(executionId)
        return [outcome, 'result' in rest && rest.result?.byteLength]
      }
      expect(await ending(new Uint8Array(0))).toEqual(['completed', 0])
      expect(await ending(undefined)).toEqual(['completed', undefined])
    })

    it.each(awkward.filter(([, detail]) => detail.byteLength <= 65_536))(
      'of a failure come back as they were: %s (W24)',
      async (_what, detail) => {
        const { backend } = await open()
        const { executionId, handle } = await submitAndClaim(backend)
        await backend.fail(handle, { message: 'oops', detail }, 'permanent')
        const ending = await backend.watch(executionId)
        const failure = ending.outcome === 'failed' ? ending.failure : undefined
        expect(Buffer.compare(failure?.detail ?? expect.fail('no detail'), detail)).toBe(0)
      },
    )

    it('of a failure may be 64 KiB', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      const detail = new Uint8Array(65_536).fill(0xff)
      await backend.fail(handle, { message: '"'.repeat(2048), detail }, 'permanent')
      expect(await backend.watch(executionId)).toMatchObject({
        failure: { message: '"'.repeat(2048) },
      })
    })
  })

  describe('texts', () => {
    it.each(texts)('come back as they were: %s', async (_what, text) => {
      const { backend } = await open()
      const cancelled = await submitAndClaim(backend)
      await backend.progress(cancelled.handle, 1, text)
      const { progress } = await describeOne(backend, cancelled.executionId)
      expect(progress.message).toBe(text)
      await backend.cancel(cancelled.handle, text)
      expect(await backend.watch(cancelled.executionId)).toMatchObject({ message: text })
      const failed = await submitAndClaim(backend)
      await backend.fail(failed.handle, { message: text }, 'permanent')
      expect(await backend.watch(failed.executionId)).toMatchObject({ failure: { message: text } })
      const ended = await submit(backend)
      await backend.cancelExecution(ended, text)
      expect(await backend.watch(ended)).toMatchObject({ message: text })
    })

    it('of names come back as they were, too', async () => {
      const { backend } = await open()
      const lane = 'größe:{x}/量子'
      const id = await submit(backend, { lane, task: 'a:b/c{d}"' })
      const claimed = await claimOne(backend, { lane, worker: 'wörker:{1}' })
      expect(claimed).toMatchObject({ executionId: id, lane, task: 'a:b/c{d}"' })
      expect(await describeOne(backend, id)).toMatchObject({
        lane,
        currentLease: { worker: 'wörker:{1}' },
      })
      expect((await backend.listLanes(undefined, 10)).items).toEqual([{ lane, state: 'active' }])
    })
  })
}
