// Servers and stores for tests of what only a server can do; all end with the file or the test.
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { type Flavour, type RunningServer, startServer } from '../../scripts/servers.ts'
import { mintLeaseId } from '../../src/ids.ts'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import {
  openValkeyStore,
  type ValkeyStore,
  type ValkeyStoreOptions,
} from '../../src/persistence/valkey/valkey-store.ts'
import { dumpServers } from './keyspace-dump.ts'

export interface ServerAtHand {
  readonly server: RunningServer
  /** A plain connection, beside whatever is tested. */
  readonly redis: Redis
  dump(): Promise<ReadonlyMap<string, string>>
  /** How often the server was asked for `command` since the last `forgetCalls`. */
  calls(command: string): Promise<number>
  forgetCalls(): Promise<void>
}

/** One server for the calling file. */
export function useServer(flavour: Flavour = 'valkey', extraArgs: string[] = []): ServerAtHand {
  let server: RunningServer
  let redis: Redis
  beforeAll(async () => {
    server = await startServer({ flavour, extraArgs })
    redis = plainClient(server)
  })
  afterAll(async () => {
    redis.disconnect()
    await server.stop()
  })
  return {
    get server() {
      return server
    },
    get redis() {
      return redis
    },
    dump: () => dumpServers([redis], '*'),
    calls: async (command) => {
      const stats = await redis.info('commandstats')
      const found = new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)
      return Number(found?.[1] ?? 0)
    },
    forgetCalls: async () => void (await redis.config('RESETSTAT')),
  }
}

export function plainClient({ port }: { readonly port: number }): Redis {
  return new Redis({ port, host: '127.0.0.1' })
}

export type OpenStore = (
  options: Pick<ValkeyStoreOptions, 'url'> & Partial<ValkeyStoreOptions>,
) => Promise<{
  readonly backend: EngineBackend
  readonly store: ValkeyStore
  readonly namespace: string
}>

/** Opens stores that are closed after the running test; each has a namespace of its own. */
export function useStores(): OpenStore {
  const opened: EngineBackend[] = []
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((backend) => backend.close()))
  })
  return async (options) => {
    const namespace = options.namespace ?? mintLeaseId()
    const store = await openValkeyStore({ ...options, namespace })
    const backend = createBackend(store)
    opened.push(backend)
    return { backend, store, namespace }
  }
}

/** The answer, and how long it took; the call must take at least and at most so long. */
export async function timed<Value>(
  [leastMs, mostMs]: readonly [number, number],
  call: () => Promise<Value>,
): Promise<Value> {
  const startedMs = performance.now()
  const answer = await call()
  const tookMs = performance.now() - startedMs
  expect(tookMs).toBeGreaterThanOrEqual(leastMs)
  expect(tookMs).toBeLessThanOrEqual(mostMs)
  return answer
}
