// Who waits for an ending, by what they wait for.
import { EngineError } from '../errors.ts'
import { setTimer } from '../time.ts'

interface Waiter<Ending> {
  readonly resolve: (ending: Ending) => void
  readonly reject: (error: unknown) => void
}

const closedError = () => new EngineError('engine_closed', 'the engine was closed while waiting')

/** Waits for endings of executions, or of flows, until somebody says what they came to. */
export class Waiters<Ending> {
  private readonly what: 'execution' | 'flow'
  private readonly byId = new Map<string, Set<Waiter<Ending>>>()
  private closed = false

  constructor(what: 'execution' | 'flow') {
    this.what = what
  }

  /** Throws `engine_closed` once nobody can be waited for any more. */
  checkOpen(): void {
    if (this.closed) throw closedError()
  }

  get ids(): readonly string[] {
    return [...this.byId.keys()]
  }

  has(id: string): boolean {
    return this.byId.has(id)
  }

  /** Rejects with `result_timeout` after `timeoutMs`. */
  add(id: string, timeoutMs: number | undefined): Promise<Ending> {
    return new Promise((resolve, reject) => {
      const waiters = this.byId.get(id) ?? new Set()
      this.byId.set(id, waiters.add(this.waiter(id, waiters, timeoutMs, resolve, reject)))
    })
  }

  resolve(id: string, ending: Ending): void {
    for (const { resolve } of [...(this.byId.get(id) ?? [])]) resolve(ending)
  }

  reject(id: string, error: unknown): void {
    for (const { reject } of [...(this.byId.get(id) ?? [])]) reject(error)
  }

  close(): void {
    this.closed = true
    for (const id of this.ids) this.reject(id, closedError())
  }

  private waiter(
    id: string,
    waiters: Set<Waiter<Ending>>,
    timeoutMs: number | undefined,
    resolve: (ending: Ending) => void,
    reject: (error: unknown) => void,
  ): Waiter<Ending> {
    const leave = () => {
      timer?.clear()
      waiters.delete(waiter)
      if (waiters.size === 0) this.byId.delete(id)
    }
    const waiter: Waiter<Ending> = {
      resolve: (ending) => {
        leave()
        resolve(ending)
      },
      reject: (error) => {
        leave()
        reject(error)
      },
    }
    const late = () => waiter.reject(this.timeoutError(id, timeoutMs))
    const timer = timeoutMs === undefined ? undefined : setTimer(late, timeoutMs)
    return waiter
  }

  private timeoutError(id: string, timeoutMs: number | undefined): EngineError {
    const { what } = this
    const idName = `${what}Id`
    return new EngineError('result_timeout', `${what} ${id} has not ended in ${timeoutMs} ms`, {
      details: { [idName]: id, timeoutMs },
    })
  }
}
