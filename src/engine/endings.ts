// Waits for the endings of executions: subscribes first, then reads, so that none is missed.
import type { ExecutionId } from '../ids.ts'
import type { EngineBackend, ExecutionEnding } from '../persistence/backend.ts'
import { Waiters } from './waiters.ts'

type EndingsBackend = Pick<EngineBackend, 'watch' | 'onEnded'>

/** Should a notice ever be lost without a gap being told, the ending is still found. */
const rereadMs = 30_000

export class Endings {
  private readonly backend: EndingsBackend
  private readonly waiters = new Waiters<ExecutionEnding>('execution')
  private subscribed: Promise<() => void> | undefined
  private reread: NodeJS.Timeout | undefined

  constructor(backend: EndingsBackend) {
    this.backend = backend
  }

  /** How the execution ends; rejects with `result_timeout` after `timeoutMs`. */
  async of(id: ExecutionId, timeoutMs: number | undefined): Promise<ExecutionEnding> {
    this.waiters.checkOpen()
    await this.subscribe()
    this.waiters.checkOpen()
    this.reread ??= setInterval(() => this.hear(undefined), rereadMs).unref()
    const ending = this.waiters.add(id, timeoutMs)
    this.read(id)
    return ending
  }

  async close(): Promise<void> {
    clearInterval(this.reread)
    this.waiters.close()
    const unsubscribe = await this.subscribed?.catch(() => undefined)
    unsubscribe?.()
  }

  private async subscribe(): Promise<void> {
    this.subscribed ??= this.backend.onEnded((ended) => this.hear(ended))
    try {
      await this.subscribed
    } catch (error) {
      // The next one to wait tries again.
      this.subscribed = undefined
      throw error
    }
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
