// What a claim leaves in the keyspace, beyond what its answer tells.
import { expect, it } from 'vitest'
import { openEmbeddedStore } from '../../../src/persistence/embedded/embedded-store.ts'
import type { Store } from '../../../src/persistence/store.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../../src/persistence/valkey/valkey-store.ts'
import { useServer } from '../../support/valkey-server.ts'

const atHand = useServer()

async function emptyARoute(store: Store, look: () => Promise<boolean>): Promise<boolean[]> {
  const backend = createBackend(store)
  await backend.submit({
    lane: 'lane',
    task: 'task',
    input: Buffer.from(''),
    capabilities: ['gpu'],
  })
  const seen = [await look()]
  const claim = () => backend.claim('lane', ['gpu'], { worker: 'worker' })
  expect(await claim()).toHaveLength(1)
  seen.push(await look())
  expect(await claim()).toHaveLength(0)
  seen.push(await look())
  await backend.close()
  return seen
}

it('a route is forgotten by the claim that finds nothing in it, on Valkey', async () => {
  const store = await openValkeyStore({ url: atHand.server.url, namespace: 'routes' })
  const look = async () => (await atHand.redis.exists('{hf:routes:0}:routes:lane')) === 1
  expect(await emptyARoute(store, look)).toEqual([true, true, false])
})

it('a route is forgotten by the claim that finds nothing in it, in process', async () => {
  const store = await openEmbeddedStore()
  const look = async () => store.dump().has('routes:lane')
  expect(await emptyARoute(store, look)).toEqual([true, true, false])
})
