// A worker as its starter holds it.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type ActorRefFrom, waitFor } from 'xstate'
import { AttemptPool } from '../actors/attempt-pool.ts'
import type { WorkerInput, workerMachine } from '../actors/worker.ts'
import { EngineError } from '../errors.ts'
import { bounds, counts, defaults } from '../limits.ts'
import { checkWord } from '../persistence/arguments.ts'
import type { EngineBackend } from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import { type PerformOptions, performer } from './perform.ts'
import type { AnyTask } from './task.ts'

export interface WorkOptions {
  /** Attempts at the same time. @defaultValue 1 */
  readonly concurrency?: number
  /** After a crash, others claim the work when this much time is over. @defaultValue '30s' */
  readonly lease?: Duration
  /** What this worker can do. */
  readonly capabilities?: readonly string[]
  /** Identity of this worker. @defaultValue host, process and a random part */
  readonly name?: string
  /** Hears of faults that no caller is there to hear of. @defaultValue a process warning */
  readonly onError?: (error: unknown) => void
}

function ownName(): string {
  return `${hostname()
    .replace(/[\s|,]/g, '-')
    .slice(0, 30)}-${process.pid}-${randomUUID().slice(0, 8)}`
}

/** What a worker's actor needs, from what its starter says. */
export function workerInput(
  backend: EngineBackend,
  tasks: readonly AnyTask[],
  { codec, urlOf }: Pick<PerformOptions, 'codec' | 'urlOf'>,
  options: WorkOptions & { readonly onError: (error: unknown) => void },
): WorkerInput {
  const { concurrency = 1, onError, capabilities = [] } = options
  const leaseMs = parseDurationMs(options.lease ?? defaults.leaseMs, 'lease')
  checkConcurrency(concurrency)
  checkTasks(tasks)
  if (options.name !== undefined) checkWord('name', options.name)
  checkList(capabilities)
  for (const capability of capabilities) checkWord('capabilities', capability)
  checkLease(leaseMs)
  const byName = new Map(tasks.map((task) => [task.name, task]))
  const perform = performer({ backend, tasks: byName, codec, urlOf, onError })
  return {
    backend,
    pool: new AttemptPool({ backend, perform, concurrency, onError }),
    worker: options.name ?? ownName(),
    lanes: [...new Set(tasks.map((task) => task.lane))],
    capabilities,
    leaseMs,
    onError,
  }
}

/** Claims and runs executions until it is stopped. */
export class Worker {
  readonly name: string
  private readonly actor: ActorRefFrom<typeof workerMachine>

  /** @internal */
  constructor(name: string, actor: ActorRefFrom<typeof workerMachine>) {
    this.name = name
    this.actor = actor
  }

  /**
   * Claims no more, lets running attempts finish within `grace`, and hands the rest back, so that
   * another worker continues it at once. Nothing is lost.
   */
  async stop(options: { readonly grace?: Duration } = {}): Promise<void> {
    const graceMs = parseDurationMs(options.grace ?? '30s', 'grace')
    if (this.actor.getSnapshot().status !== 'active') return
    this.actor.send({ type: 'stop', graceMs })
    await waitFor(this.actor, (snapshot) => snapshot.status !== 'active')
  }
}

function checkConcurrency(concurrency: number): void {
  if (Number.isSafeInteger(concurrency) && concurrency >= 1) return
  throw new EngineError('invalid_input', 'concurrency must be a whole number from 1', {
    details: { argument: 'concurrency', given: concurrency },
  })
}

function checkTasks(tasks: readonly AnyTask[]): void {
  const refuse = (why: string): never => {
    throw new EngineError('invalid_input', `tasks ${why}`, { details: { argument: 'tasks', why } })
  }
  if (tasks.length === 0) refuse('are none')
  if (new Set(tasks.map(({ name }) => name)).size < tasks.length) refuse('share a name')
  const lanes = new Set(tasks.map(({ lane }) => lane)).size
  const { lanesPerClaimMax } = counts
  if (lanes > lanesPerClaimMax) {
    refuse(`have ${lanes} lanes, more than ${lanesPerClaimMax}: start several workers`)
  }
}

/** Text is a list of letters too, which nobody means. */
function checkList(capabilities: unknown): void {
  if (Array.isArray(capabilities)) return
  throw new EngineError('invalid_input', 'capabilities are not a list of words', {
    details: { argument: 'capabilities', given: String(capabilities) },
  })
}

function checkLease(leaseMs: number): void {
  const { min, max } = bounds.lease_ms
  if (leaseMs >= min && leaseMs <= max) return
  throw new EngineError('invalid_input', `lease must be ${min} to ${max} milliseconds`, {
    details: { argument: 'lease', given: leaseMs },
  })
}
