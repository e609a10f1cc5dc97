// Tasks whose attempts the test directs: it sees each begin and says how each ends.
import { type Task, type TaskContext, type TaskSettings, task } from '../../src/index.ts'

/** An attempt that has begun. */
export interface StagedAttempt {
  readonly context: TaskContext
  readonly input: unknown
  finish(output?: unknown): void
  fail(error: unknown): void
  /** Resolves with the reason once the attempt's signal has fired. */
  readonly aborted: Promise<unknown>
}

export interface StagedTask {
  readonly task: Task<unknown, unknown>
  /** The next attempt, once it has begun. */
  begun(): Promise<StagedAttempt>
  /** Attempts that have begun and that `begun` has not told of yet. */
  readonly waiting: readonly StagedAttempt[]
}

export function staged(settings: Partial<TaskSettings> = {}): StagedTask {
  const waiting: StagedAttempt[] = []
  let wake = () => {}
  const run = (context: TaskContext, input: unknown) =>
    new Promise<unknown>((finish, fail) => {
      waiting.push({ context, input, finish, fail, aborted: firing(context.signal) })
      wake()
    })
  return {
    task: task({ name: 'staged', ...settings, run }),
    waiting,
    async begun() {
      while (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return waiting.shift() as StagedAttempt
    },
  }
}

function firing(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true })
  })
}

/** A promise and what settles it. */
export interface Gate<Value = void> {
  readonly passed: Promise<Value>
  open(value: Value): void
}

export function gate<Value = void>(): Gate<Value> {
  let open: (value: Value) => void = () => {}
  const passed = new Promise<Value>((resolve) => {
    open = resolve
  })
  return { passed, open }
}
