// Idempotency keys: one key makes one execution, whoever submits how often and where.
import { describe, expect, it } from 'vitest'
import type { Submission } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  refusedWithoutTrace,
  submit,
  sweepAll,
  withoutTrace,
  work,
} from '../support/executions.ts'

const original: Submission = work({
  idempotencyKey: 'order-17',
  priority: 5,
  delayMs: 1000,
  deadlineMs: 100_000,
  attemptTimeoutMs: 5000,
  retry: { attempts: 3 },
  retentionMs: 1000,
  reclaimsMax: 3,
  capabilities: ['a', 'b'],
  tags: { one: '1', two: '2' },
})

const differing: Readonly<Record<string, Partial<Submission>>> = {
  lane: { lane: 'other' },
  task: { task: 'other' },
  input: { input: bytes('other') },
  priority: { priority: 6 },
  delay: { delayMs: 1001 },
  start: { delayMs: undefined, startAtMs: 1 },
  deadline: { deadlineMs: 100_001 },
  'attempt timeout': { attemptTimeoutMs: 5001 },
  'retry policy': { retry: { attempts: 4 } },
  retention: { retentionMs: 'forever' },
  'number of reclaims': { reclaimsMax: 4 },
  capabilities: { capabilities: ['a'] },
  tags: { tags: { one: '1', two: '3' } },
}

export function describeIdempotency(open: Open): void {
  describe('idempotency keys', () => {
    it('answer an equal submission with the execution they made, and write nothing', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const id = await submit(backend, original)
      await clock.advance(60_000)
      expect(await withoutTrace(opened, () => backend.submit(original))).toEqual({
        outcome: 'duplicate',
        executionId: id,
      })
    })

    it.each(Object.entries(differing))(
      'refuse a submission with another %s, whichever partition it would go to (W20)',
      async (_what, difference) => {
        const opened = await open()
        const { backend } = opened
        const id = await submit(backend, original)
        const error = await refusedWithoutTrace(
          opened,
          () => backend.submit({ ...original, ...difference }),
          'idempotency_mismatch',
        )
        expect(id).toContain(error.details.existing)
      },
    )

    it.each<[string, Partial<Submission>]>([
      ['capabilities in another order', { capabilities: ['b', 'a', 'b'] }],
      ['tags in another order', { tags: { two: '2', one: '1' } }],
    ])('do not mind %s', async (_what, same) => {
      const { backend } = await open()
      const executionId = await submit(backend, original)
      const again = await backend.submit({ ...original, ...same })
      expect(again).toEqual({ outcome: 'duplicate', executionId })
    })

    it('do not mind whether a default is written out', async () => {
      const { backend } = await open()
      const executionId = await submit(backend, { idempotencyKey: 'key' })
      const spelled = { priority: 0, capabilities: [], tags: {}, retry: { attempts: 1 } }
      const again = await backend.submit(work({ idempotencyKey: 'key', ...spelled }))
      expect(again).toEqual({ outcome: 'duplicate', executionId })
    })

    it('are compared byte by byte', async () => {
      const { backend } = await open()
      const keys = ['a', 'A', 'a ', 'ä', 'a\u0308', '\u0000', 'k'.repeat(256)]
      const ids = await Promise.all(
        keys.map((idempotencyKey) => submit(backend, { idempotencyKey })),
      )
      expect(new Set(ids).size).toBe(keys.length)
    })

    it('make one execution even when many submit at once', async () => {
      const { backend, peer } = await open()
      const backends = [backend, (await peer()).backend]
      const rush = Array.from({ length: 20 }, (_, at) => backends[at % 2]?.submit(original))
      const answers = await Promise.all(rush)
      expect(new Set(answers.map((answer) => answer?.executionId)).size).toBe(1)
      expect(answers.filter((answer) => answer?.outcome === 'submitted')).toHaveLength(1)
    })

    it('are no concern of submissions without one', async () => {
      const { backend } = await open()
      expect(await submit(backend)).not.toBe(await submit(backend))
    })

    it('still answer when the execution has ended, and when its lane was closed', async () => {
      const { backend } = await open()
      const executionId = await submit(backend, { idempotencyKey: 'key' })
      await backend.complete((await claimOne(backend)).handle)
      await backend.drainLane('lane')
      const again = await backend.submit(work({ idempotencyKey: 'key' }))
      expect(again).toEqual({ outcome: 'duplicate', executionId })
    })

    it.each(['purged', 'past its retention'])(
      'are free again once the execution is %s',
      async (how) => {
        const { backend, clock } = await open()
        const keyed = { idempotencyKey: 'key', retentionMs: 1000 }
        const first = await submit(backend, keyed)
        await backend.complete((await claimOne(backend)).handle)
        if (how === 'purged') await backend.purgeExecution(first)
        else await clock.advance(1000).then(() => sweepAll(backend))
        expect(await submit(backend, { ...keyed, input: bytes('other') })).not.toBe(first)
      },
    )
  })
}
