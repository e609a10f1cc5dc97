// Engines for tests of the public surface, one kind of backend at a time.
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { type RunningServer, startServer } from '../../scripts/servers.ts'
import { type Engine, type OpenEngineOptions, openEngine } from '../../src/index.ts'
import { useQuietProcess } from './quiet-process.ts'

export const kinds = ['embedded', 'valkey'] as const
export type Kind = (typeof kinds)[number]

export interface EnginesAtHand {
  /** An engine over work of its own, or over that of the given namespace; closed after the test. */
  open(options?: OpenEngineOptions): Promise<Engine>
  /** What `onError` heard in the running test. Whoever expects something takes it out. */
  readonly faults: unknown[]
  /** Only with Valkey. */
  readonly server: RunningServer
}

/** A namespace that nobody else uses. */
export function freshNamespace(): string {
  return `test-${randomUUID().slice(0, 18)}`
}

/** Engines of one kind for the calling file or block; nothing may go wrong beside the tests. */
export function useEngines(kind: Kind): EnginesAtHand {
  let server: RunningServer | undefined
  const opened: Engine[] = []
  const faults: unknown[] = []
  beforeAll(async () => {
    if (kind === 'valkey') server = await startServer({ flavour: 'valkey' })
  })
  afterAll(() => server?.stop())
  useQuietProcess()
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((engine) => engine.close({ grace: 0 })))
    expect(faults.splice(0)).toEqual([])
  })
  return {
    faults,
    get server() {
      return server as RunningServer
    },
    async open(options = {}) {
      const place = server && { url: server.url, namespace: freshNamespace() }
      const onError = (fault: unknown) => void faults.push(fault)
      const engine = await openEngine({ ...place, onError, ...options })
      opened.push(engine)
      return engine
    },
  }
}
