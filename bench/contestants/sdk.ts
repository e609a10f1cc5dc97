// Holdfast as a contestant, through its public surface.

import { type Engine, openEngine, type Task, task } from '../../src/index.ts'
import { type Contestant, expectCount, type Payload, result, type Session } from '../contestant.ts'
import { verifyExecutions } from './backend.ts'

const title = 'Holdfast SDK'

export function sdkContestant(concurrency: number): Contestant {
  return {
    title: `${title}, concurrency ${concurrency}`,
    async open(url, name) {
      const engine = await openEngine({ url, namespace: name })
      return new SdkSession(engine, concurrency)
    },
  }
}

class SdkSession implements Session {
  private readonly engine: Engine
  private readonly concurrency: number
  private readonly noop: Task<Payload['json'], typeof result>
  private onRun: () => void = () => {}

  constructor(engine: Engine, concurrency: number) {
    this.engine = engine
    this.concurrency = concurrency
    this.noop = task({
      name: 'noop',
      run: async (_context, _input: Payload['json']) => {
        this.onRun()
        return result
      },
    })
  }

  submit({ json }: Payload): Promise<unknown> {
    return this.engine.submit(this.noop, json)
  }

  submitMany(payloads: readonly Payload[]): Promise<unknown> {
    const items = payloads.map(({ json }) => ({ input: json }))
    return this.engine.submitMany(this.noop, items)
  }

  async process(count: number): Promise<number> {
    const startedMs = performance.now()
    let runs = 0
    const allRan = new Promise<void>((resolve) => {
      this.onRun = () => {
        runs++
        if (runs === count) resolve()
      }
    })
    const worker = await this.engine.work([this.noop], { concurrency: this.concurrency })
    await allRan
    // The last results are still on their way: a worker has stopped once they are stored.
    await worker.stop()
    const elapsedMs = performance.now() - startedMs
    expectCount(title, 'runs', runs, count)
    return elapsedMs
  }

  verifyWaiting(count: number): Promise<void> {
    return verifyExecutions(this.engine.backend, 'pending', count)
  }

  verifyCompleted(count: number): Promise<void> {
    return verifyExecutions(this.engine.backend, 'completed', count)
  }

  close(): Promise<void> {
    return this.engine.close()
  }
}
