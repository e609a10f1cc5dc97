// What a completion under a live lease may bring: the short way reads its arguments as they arrive.
import { expect, it } from 'vitest'
import { digest } from '../../../src/ids.ts'
import { bytesMax } from '../../../src/limits.ts'
import { parseHandle } from '../../../src/persistence/handle.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { shippedLibrary } from '../../../src/persistence/valkey/library.ts'
import { openValkeyStore } from '../../../src/persistence/valkey/valkey-store.ts'
import { useServer } from '../../support/valkey-server.ts'
import { learnBatches } from '../../support/wire.ts'

const namespace = 'completions'

const atHand = useServer()

/** Plain work under a live lease, and a way to complete it with arguments of one's own. */
async function claimPlainWork() {
  const backend = createBackend(await openValkeyStore({ url: atHand.server.url, namespace }))
  await backend.submit({ lane: 'lane', task: 'task', input: Buffer.from('input') })
  const [claimed] = await backend.claim('lane', [], { worker: 'worker' })
  const { handle } = claimed ?? expect.fail('nothing was claimed')
  const { id, attempt, lease_id, epoch } = parseHandle(backend.kind, handle)
  await backend.close()
  const batchOf = await learnBatches(atHand.server.url, shippedLibrary.name)
  const fitting = {
    id,
    attempt: String(attempt),
    lease_id,
    epoch: String(epoch),
    digest: digest('nothing'),
    result: '0',
  }
  return {
    fitting,
    async complete(changes: Partial<typeof fitting>): Promise<unknown> {
      const wire = ['execution.complete', ...Object.values({ ...fitting, ...changes })]
      const [reply] = (await atHand.redis.call(
        'FCALL',
        ...(batchOf(`{hf:${namespace}:0}`, wire) as string[]),
      )) as unknown[]
      return reply
    },
  }
}

it('refuses a digest or a result that does not fit, and changes nothing', async () => {
  const { fitting, complete } = await claimPlainWork()
  const before = await atHand.dump()
  const wrong = [
    ...['', 'short', `${fitting.digest}x`, `${fitting.digest.slice(1)} `].map((text) => ({
      digest: text,
    })),
    ...['', '2', 'x', `1${'x'.repeat(bytesMax.input + 1)}`].map((text) => ({ result: text })),
  ]
  for (const changes of wrong) {
    const [argument] = Object.keys(changes)
    const reply = await complete(changes)
    expect(reply).toEqual([
      'refused',
      'invalid_input',
      'argument',
      argument,
      'why',
      expect.any(String),
    ])
    expect(await atHand.dump()).toEqual(before)
  }
  expect(await complete({ attempt: '1' })).toEqual(expect.arrayContaining(['stale_lease']))
  expect(await complete({ epoch: '7' })).toEqual(expect.arrayContaining(['stale_lease']))
  expect(await complete({ lease_id: 'other.1' })).toEqual(expect.arrayContaining(['stale_lease']))
  expect(await atHand.dump()).toEqual(before)
  expect(await complete({})).toBe('completed 0')
  expect(await complete({})).toBe('completed 1')
})
