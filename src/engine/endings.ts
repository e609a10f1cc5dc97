// Waits for the endings of executions: subscribes first, then reads, so that none is missed.
import type { ExecutionId } from '../ids.ts'
import type { EngineBackend, ExecutionEnding } from '../persistence/backend.ts'
import { Subscription } from './subscription.ts'
import { Waiters } from './waiters.ts'

type EndingsBackend = Pick<EngineBackend, 'watch' | 'onEnded'>

export class Endings {
  private readonly backend: EndingsBackend
  private readonly waiters = new Waiters<ExecutionEnding>('execution')
  private readonly notices: Subscription<ExecutionId>

  constructor(backend: EndingsBackend) {
    this.backend = backend
    this.notices = new Subscription(
      (hear) => backend.onEnded(hear),
      (told) => this.hear(told),
    )
  }

  /** How the execution ends; rejects with `result_timeout` after `timeoutMs`. */
  async of(id: ExecutionId, timeoutMs: number | undefined): Promise<ExecutionEnding> {
    this.waiters.checkOpen()
    await this.notices.begin()
    this.waiters.checkOpen()
    this.notices.keepLooking()
    const ending = this.waiters.add(id, timeoutMs)
    this.read(id)
    return ending
  }

  async close(): Promise<void> {
    this.waiters.close()
    await this.notices.end()
  }

  private hear(ended: ExecutionId | undefined): void {
    const ids = ended === undefined ? this.waiters.ids : [ended]
    for (const id of ids) if (this.waiters.has(id)) this.read(id)
  }

  private read(id: ExecutionId): void {
    this.backend.watch(id).then(
      (outcome) => {
        if (outcome.outcome !== 'pending') this.waiters.resolve(id, outcome)
      },
      (error) => this.waiters.reject(id, error),
    )
  }
}
