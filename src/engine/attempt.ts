// What a task can do while it runs, in one attempt.
import type {
  BudgetId,
  ClaimedExecution,
  EngineBackend,
  ReserveOutcome,
  UsageAmounts,
} from '../persistence/backend.ts'
import { parseDurationMs } from '../time.ts'
import { Answers } from './asked.ts'
import {
  type Child,
  type ChildOutcome,
  Children,
  type ChildrenBackend,
  type SpawnOptions,
  type WaitChildrenOptions,
} from './children.ts'
import { Emitter } from './emitter.ts'
import { Inputs } from './inputs.ts'
import type { Codec } from './json-codec.ts'
import { Upstreams } from './outcome.ts'
import type { AnyTask, ReserveOptions, Task, TaskContext } from './task.ts'
import { WaitLine } from './wait-line.ts'
import { type WaitOptions, Waits, type WaitsParts } from './waits.ts'

type AttemptBackend = Pick<
  EngineBackend,
  'progress' | 'appendFrame' | 'readStream' | 'reportUsage' | 'reserveUsage' | 'readInputs'
> &
  WaitsParts['backend'] &
  ChildrenBackend

export interface AttemptOptions {
  readonly backend: AttemptBackend
  readonly codec: Codec
  /** The address at which a token's signal is taken, if there is one. */
  readonly urlOf: (token: string) => string | undefined
}

/** What a task can do in one attempt; what it does not use is not made. */
export class Attempt {
  private readonly options: AttemptOptions
  private readonly task: AnyTask
  private readonly claimed: ClaimedExecution
  private readonly parked: () => void
  readonly answers = new Answers()
  private readonly line = new WaitLine()
  private readonly claimedMs = performance.now()
  private emitter: Emitter | undefined
  private waits: Waits | undefined
  private children: Children | undefined
  private upstreams: Upstreams | undefined

  constructor(
    options: AttemptOptions,
    task: AnyTask,
    claimed: ClaimedExecution,
    parked: () => void,
  ) {
    this.options = options
    this.task = task
    this.claimed = claimed
    this.parked = parked
  }

  context(signal: AbortSignal): TaskContext {
    const { answers } = this
    const { backend } = this.options
    const { attempt, epoch, executionId, handle } = this.claimed
    return {
      executionId,
      attempt,
      epoch,
      signal,
      progress: (percent, message) =>
        answers.hand(backend.progress(handle, Math.floor(percent), message)),
      waitFor: (name: string, options: WaitOptions = {}) =>
        answers.handWait(this.waiting().waitFor(name, options)) as never,
      waitpoint: (name, options = {}) => answers.hand(this.waiting().waitpoint(name, options)),
      inputs: () => answers.hand(this.inputs()),
      spawn: (task, input, options = {}) => answers.hand(this.spawn(task, input, options)),
      waitChildren: (options = {}) => answers.handWait(this.waitChildren(options)) as never,
      emit: (type, payload, options) => answers.hand(this.emitting().emit(type, payload, options)),
      usage: (budget, amounts, options = {}) =>
        answers.hand(backend.reportUsage(handle, budget, { ...options, custom: amounts })),
      reserve: (budget, amounts, options = {}) =>
        answers.hand(this.reserve(budget, amounts, options)),
    }
  }

  private async inputs(): Promise<Inputs> {
    return new Inputs(this.options.codec, await this.reading().all())
  }

  private async spawn<Input>(
    task: Task<Input, unknown>,
    input: Input,
    options: SpawnOptions,
  ): Promise<Child> {
    return this.parenting().spawn(task, input, options)
  }

  private async waitChildren(options: WaitChildrenOptions): Promise<readonly ChildOutcome[]> {
    return this.parenting().waitChildren(options)
  }

  private async reserve(
    budget: BudgetId,
    amounts: UsageAmounts,
    { ttl, dedupKey }: ReserveOptions,
  ): Promise<ReserveOutcome> {
    const ttlMs = ttl === undefined ? undefined : parseDurationMs(ttl, 'ttl')
    return this.options.backend.reserveUsage(this.claimed.handle, budget, {
      amounts,
      ttlMs,
      dedupKey,
    })
  }

  /** Whether a wait is still under way. */
  get isWaiting(): boolean {
    return this.line.isWaiting
  }

  private emitting(): Emitter {
    const { backend, codec } = this.options
    this.emitter ??= new Emitter(backend, this.claimed, codec)
    return this.emitter
  }

  private waiting(): Waits {
    const { claimed, line, parked } = this
    const settled = () => this.answers.settled()
    this.waits ??= new Waits({ ...this.options, claimed, line, parked, settled })
    return this.waits
  }

  private reading(): Upstreams {
    this.upstreams ??= new Upstreams(this.options.backend, this.claimed.executionId)
    return this.upstreams
  }

  private parenting(): Children {
    const { claimed, claimedMs, line, parked, task } = this
    const own = { claimed, claimedMs, line, parked, task, upstreams: this.reading() }
    const settled = () => this.answers.settled()
    this.children ??= new Children({ ...this.options, ...own, settled })
    return this.children
  }
}
