// Holdfast as a contestant, through its backend on a server.

import type { ExecutionId } from '../../src/ids.ts'
import type {
  ClaimedExecution,
  EngineBackend,
  WatchOutcome,
} from '../../src/persistence/backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import {
  type Contestant,
  expectCount,
  type Payload,
  resultBytes,
  type Session,
} from '../contestant.ts'

const title = 'Holdfast'
const lane = 'bench'
const pageSize = 1000
const noBytes = new Uint8Array(0)

export interface Claiming {
  /** How many executions one claim takes at most. */
  readonly count: number
  /** How many claims are in flight. */
  readonly loops: number
  /** Whether the next claim travels with the completions, instead of after them. */
  readonly ahead: boolean
}

export function backendContestant(claiming: Claiming): Contestant {
  return {
    title,
    async open(url, name) {
      const backend = createBackend(await openValkeyStore({ url, namespace: name }))
      return new BackendSession(backend, claiming)
    },
  }
}

class BackendSession implements Session {
  private readonly backend: EngineBackend
  private readonly claiming: Claiming

  constructor(backend: EngineBackend, claiming: Claiming) {
    this.backend = backend
    this.claiming = claiming
  }

  submit({ bytes }: Payload): Promise<unknown> {
    return this.backend.submit({ lane, task: 'noop', input: bytes })
  }

  submitMany(payloads: readonly Payload[]): Promise<unknown> {
    return this.backend.submitMany(
      payloads.map(({ bytes }) => ({ lane, task: 'noop', input: bytes })),
    )
  }

  async process(count: number): Promise<number> {
    const startedMs = performance.now()
    const loops: Promise<number>[] = []
    for (let started = 0; started < this.claiming.loops; started++) {
      const first = this.claim()
      loops.push(this.work(first))
      // Loops that start together stay together: their calls would travel as one for ever, and
      // the server would idle while this process works.
      await first
    }
    const done = await Promise.all(loops)
    const elapsedMs = performance.now() - startedMs
    const total = done.reduce((sum, each) => sum + each, 0)
    expectCount(title, 'completions', total, count)
    return elapsedMs
  }

  /** Claims and completes until nothing waits. */
  private async work(first: Promise<readonly ClaimedExecution[]>): Promise<number> {
    let done = 0
    let claimed = await first
    while (claimed.length > 0) {
      const completions = claimed.map(({ handle }) => this.backend.complete(handle, resultBytes))
      const next = this.claiming.ahead ? this.claim() : undefined
      await Promise.all(completions)
      done += claimed.length
      claimed = await (next ?? this.claim())
    }
    return done
  }

  private claim(): Promise<readonly ClaimedExecution[]> {
    return this.backend.claim(lane, [], { worker: 'bench', count: this.claiming.count })
  }

  verifyWaiting(count: number): Promise<void> {
    return verifyExecutions(this.backend, 'pending', count)
  }

  verifyCompleted(count: number): Promise<void> {
    return verifyExecutions(this.backend, 'completed', count)
  }

  close(): Promise<void> {
    return this.backend.close()
  }
}

/** Throws unless `count` executions of the first partition have that outcome, and none another. */
export async function verifyExecutions(
  backend: EngineBackend,
  wanted: 'pending' | 'completed',
  count: number,
): Promise<void> {
  let cursor: ExecutionId | undefined
  let fitting = 0
  let others = 0
  do {
    const page = await backend.listExecutions(0, cursor, pageSize)
    const outcomes = await Promise.all(page.items.map((id) => backend.watch(id)))
    const fits = outcomes.filter((outcome) => outcome.outcome === wanted && hasResult(outcome))
    fitting += fits.length
    others += outcomes.length - fits.length
    cursor = page.nextCursor
  } while (cursor !== undefined)
  expectCount(title, `executions ${wanted}`, fitting, count)
  expectCount(title, `executions not ${wanted}`, others, 0)
}

function hasResult(outcome: WatchOutcome): boolean {
  return outcome.outcome !== 'completed' || resultBytes.equals(outcome.result ?? noBytes)
}
