// The five backends that the contract runs on, each with a clock that the test sets.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { startCluster, startServer } from '../../scripts/servers.ts'
import { mintLeaseId } from '../../src/ids.ts'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import { openDirectory } from '../../src/persistence/embedded/directory.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import type { Store } from '../../src/persistence/store.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { dumpServers } from './keyspace-dump.ts'
import { ObservedStore } from './observed-store.ts'
import {
  type SettableClock,
  settableProcessClock,
  settableServerClock,
  startMs,
  testLibrary,
} from './settable-clock.ts'

export type FlavourName =
  | 'embedded-memory'
  | 'embedded-directory'
  | 'valkey'
  | 'redis'
  | 'valkey-cluster'

/** One backend over a namespace of its own. */
export interface OpenedBackend {
  readonly backend: EngineBackend
  readonly store: ObservedStore
  readonly clock: SettableClock
  /** Another backend on the same work, with a connection of its own where there are any. */
  peer(options?: OpenOptions): Promise<Pick<OpenedBackend, 'backend' | 'store'>>
  /** All that is stored, to be compared: equal when and only when nothing was written. */
  dump(): Promise<ReadonlyMap<string, string>>
}

export interface OpenOptions {
  /** Default: one, and eight in a cluster. Tests of an order that spans partitions ask for one. */
  readonly partitions?: number
}

/** Opens a backend for the running test; what was opened is closed after it. */
export type Open = (options?: OpenOptions) => Promise<OpenedBackend>

/** Where backends of one flavour can be opened. */
interface Ground {
  open(options: OpenOptions): Promise<Opened>
  stop(): Promise<void>
}

interface Opened extends Pick<OpenedBackend, 'clock' | 'dump'> {
  /** Each call makes one more way to the same records. */
  connect(options?: OpenOptions): Promise<Store>
}

/** Prepares the flavour once for the calling file. */
export function useBackend(flavour: FlavourName): Open {
  let ground: Ground
  const opened: { close(): Promise<void> }[] = []
  beforeAll(async () => {
    ground = await grounds[flavour]()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((backend) => backend.close()))
  })
  afterAll(async () => {
    await ground.stop()
  })
  return async (options = {}) => {
    const { clock, dump, connect } = await ground.open(options)
    const peer = async (other?: OpenOptions) => {
      const store = new ObservedStore(await connect(other))
      const backend = createBackend(store)
      opened.push(backend)
      return { backend, store }
    }
    return { ...(await peer()), clock, dump, peer }
  }
}

const grounds: Readonly<Record<FlavourName, () => Promise<Ground>>> = {
  'embedded-memory': async () => embeddedGround(undefined),
  'embedded-directory': async () => embeddedGround(mkdtempSync(join(tmpdir(), 'holdfast-'))),
  valkey: () => serverGround('valkey'),
  redis: () => serverGround('redis'),
  'valkey-cluster': clusterGround,
}

/** Without partitions: an embedded store has one. */
function embeddedGround(parent: string | undefined): Ground {
  return {
    async open() {
      const clock = settableProcessClock()
      const directory =
        parent === undefined ? undefined : await openDirectory(mkdtempSync(join(parent, 'store-')))
      const store = await openEmbeddedStore({ clock, directory })
      const dump = async () =>
        new Map([...store.dump()].map(([key, at]) => [key, JSON.stringify(at)]))
      return { clock, dump, connect: async () => store }
    },
    async stop() {
      if (parent !== undefined) rmSync(parent, { recursive: true })
    },
  }
}

async function serverGround(flavour: 'valkey' | 'redis'): Promise<Ground> {
  const server = await startServer({ flavour })
  return storeGround({ urls: [server.url], partitions: 1, stop: () => server.stop() })
}

async function clusterGround(): Promise<Ground> {
  const cluster = await startCluster({ flavour: 'valkey', primaries: 3 })
  return storeGround({ urls: cluster.nodes, partitions: 8, stop: () => cluster.stop() })
}

interface RunningNodes {
  readonly urls: readonly string[]
  /** How many a namespace has when the test does not say. */
  readonly partitions: number
  stop(): Promise<void>
}

async function storeGround({ urls, partitions, stop }: RunningNodes): Promise<Ground> {
  const nodes = urls.map((url) => new Redis(url.replace(/^valkey/, 'redis')))
  const clock = await settableServerClock(nodes)
  return {
    async open(options) {
      await clock.set(startMs)
      const namespace = mintLeaseId()
      const connect = (other: OpenOptions = options) =>
        openValkeyStore({
          url: urls[0] as string,
          namespace,
          partitions: other.partitions ?? partitions,
          library: testLibrary,
        })
      return { clock, connect, dump: () => dumpServers(nodes, `{hf:${namespace}:*`) }
    },
    async stop() {
      for (const node of nodes) node.disconnect()
      await stop()
    },
  }
}
