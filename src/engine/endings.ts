// Waits for the endings of executions: subscribes first, then reads, so that none is missed.
import { EngineError } from '../errors.ts'
import type { ExecutionId } from '../ids.ts'
import type { EngineBackend, ExecutionEnding } from '../persistence/backend.ts'
import { setTimer } from '../time.ts'

type EndingsBackend = Pick<EngineBackend, 'watch' | 'onEnded'>

interface Waiter {
  readonly resolve: (ending: ExecutionEnding) => void
  readonly reject: (error: unknown) => void
}

/** Should a notice ever be lost without a gap being told, the ending is still found. */
const rereadMs = 30_000

const closedError = () => new EngineError('engine_closed', 'the engine was closed while waiting')

export class Endings {
  private readonly backend: EndingsBackend
  private readonly waiters = new Map<ExecutionId, Set<Waiter>>()
  private subscribed: Promise<() => void> | undefined
  private reread: NodeJS.Timeout | undefined
  private closed = false

  constructor(backend: EndingsBackend) {
    this.backend = backend
  }

  /** How the execution ends; rejects with `result_timeout` after `timeoutMs`. */
  async of(id: ExecutionId, timeoutMs: number | undefined): Promise<ExecutionEnding> {
    if (this.closed) throw closedError()
    await this.subscribe()
    if (this.closed) throw closedError()
    this.reread ??= setInterval(() => this.hear(undefined), rereadMs).unref()
    return new Promise((resolve, reject) => {
      const waiters = this.waiters.get(id) ?? new Set()
      const waiter = this.waiter(id, waiters, timeoutMs, resolve, reject)
      this.waiters.set(id, waiters.add(waiter))
      this.read(id)
    })
  }

  async close(): Promise<void> {
    clearInterval(this.reread)
    this.closed = true
    for (const waiters of [...this.waiters.values()]) {
      for (const { reject } of [...waiters]) reject(closedError())
    }
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

  private waiter(
    id: ExecutionId,
    waiters: Set<Waiter>,
    timeoutMs: number | undefined,
    resolve: (ending: ExecutionEnding) => void,
    reject: (error: unknown) => void,
  ): Waiter {
    const leave = () => {
      timer?.clear()
      waiters.delete(waiter)
      if (waiters.size === 0) this.waiters.delete(id)
    }
    const waiter: Waiter = {
      resolve: (ending) => {
        leave()
        resolve(ending)
      },
      reject: (error) => {
        leave()
        reject(error)
      },
    }
    const late = () => {
      waiter.reject(
        new EngineError('result_timeout', `execution ${id} has not ended within ${timeoutMs} ms`, {
          details: { executionId: id, timeoutMs },
        }),
      )
    }
    const timer = timeoutMs === undefined ? undefined : setTimer(late, timeoutMs)
    return waiter
  }

  private hear(ended: ExecutionId | undefined): void {
    const ids = ended === undefined ? [...this.waiters.keys()] : [ended]
    for (const id of ids) if (this.waiters.has(id)) this.read(id)
  }

  private read(id: ExecutionId): void {
    this.backend.watch(id).then(
      (outcome) => {
        if (outcome.outcome === 'pending') return
        for (const { resolve } of [...(this.waiters.get(id) ?? [])]) resolve(outcome)
      },
      (error) => {
        for (const { reject } of [...(this.waiters.get(id) ?? [])]) reject(error)
      },
    )
  }
}
