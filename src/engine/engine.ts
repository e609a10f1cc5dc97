// The engine: what an application opens, submits to, works with and closes.
import { type ActorRefFrom, createActor } from 'xstate'
import { engineMachine } from '../actors/engine.ts'
import type { workerMachine } from '../actors/worker.ts'
import { EngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import { orRefused } from '../persistence/answers.ts'
import type {
  BulkSubmitOutcome,
  DeliverOutcome,
  EngineBackend,
  FlowId,
} from '../persistence/backend.ts'
import type { FoundExecution } from '../persistence/search-backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import { Budgets } from './budgets.ts'
import { Endings } from './endings.ts'
import { Execution, type SignalOptions } from './execution.ts'
import { faultListener } from './faults.ts'
import { type EventOptions, type FeedItem, followFeed } from './feed.ts'
import { Flow, type FlowOptions } from './flow.ts'
import { FlowEndings } from './flow-endings.ts'
import { FlowRun } from './flow-run.ts'
import { type Codec, jsonCodec } from './json-codec.ts'
import { Limits } from './limits.ts'
import { encodePayload } from './payload.ts'
import { type SearchOptions, searchExecutions } from './search.ts'
import { type SignalHandlerOptions, signalHandler } from './signal-handler.ts'
import { prepareSubmission, type SubmitOptions } from './submission.ts'
import type { AnyTask, Task } from './task.ts'
import { Worker, type WorkOptions, workerInput } from './worker.ts'

/** One of many submissions. */
export interface SubmitItem<Input> {
  readonly input: Input
  readonly options?: SubmitOptions
}

/** What became of one of many submissions. */
export type SubmitItemOutcome<Output> =
  | { readonly outcome: 'submitted' | 'duplicate'; readonly execution: Execution<Output> }
  | { readonly outcome: 'refused'; readonly error: EngineError }

export interface EngineOptions {
  /** How inputs, results and payloads become bytes and come back. @defaultValue `jsonCodec` */
  readonly codec?: Codec
  /** Where `signalHandler` is mounted: the address of a waitpoint is this and its token. */
  readonly signalUrl?: string
  /** Hears of faults that no caller is there to hear of. @defaultValue a process warning */
  readonly onError?: (error: unknown) => void
}

/** An open engine over a backend. Get one from `openEngine`. */
export class Engine {
  /** The contract below the engine: operator operations and reading. */
  readonly backend: EngineBackend
  /** How much work of a name runs at once, or begins within a time. */
  readonly limits: Limits
  /** What work may use, and what it used. */
  readonly budgets: Budgets
  private readonly codec: Codec
  private readonly signalUrl: string | undefined
  private readonly onError: (error: unknown) => void
  private readonly endings: Endings
  private readonly flowEndings: FlowEndings
  private readonly actor: ActorRefFrom<typeof engineMachine>
  private readonly workers = new Set<Worker>()
  private readonly closing = new AbortController()
  private isClosing = false
  private started = 0

  /** @internal */
  constructor(backend: EngineBackend, options: EngineOptions = {}) {
    this.backend = backend
    this.limits = new Limits(backend)
    this.budgets = new Budgets(backend)
    this.codec = options.codec ?? jsonCodec
    this.signalUrl = options.signalUrl
    this.onError = faultListener(options.onError)
    this.endings = new Endings(backend)
    this.flowEndings = new FlowEndings(backend)
    this.actor = createActor(engineMachine, { input: { backend, onError: this.onError } })
    this.actor.start()
  }

  /**
   * Accepts one execution of a task. Once the promise resolves the execution is stored, as far as
   * the backend's `durability` goes, and will run at least once.
   *
   * @throws EngineError `invalid_input`, before anything is written; `idempotency_mismatch` when
   * the key belongs to a different submission; `lane_closed` while the lane is draining.
   */
  async submit<Input, Output>(
    task: Task<Input, Output>,
    input: Input,
    options: SubmitOptions = {},
  ): Promise<Execution<Output>> {
    const submission = await prepareSubmission(this.codec, task, input, options)
    const outcome = await this.backend.submit(submission)
    return this.held(outcome.executionId, outcome.outcome === 'duplicate')
  }

  /** Accepts many at once, in order; each has its own outcome, and none touches the others. */
  async submitMany<Input, Output>(
    task: Task<Input, Output>,
    items: readonly SubmitItem<Input>[],
  ): Promise<readonly SubmitItemOutcome<Output>[]> {
    const prepared = await Promise.all(
      items.map(({ input, options }) =>
        orRefused(
          prepareSubmission(this.codec, task, input, options ?? {}).then((submission) => [
            submission,
          ]),
        ),
      ),
    )
    const valid = prepared.flatMap((item) => (Array.isArray(item) ? item : []))
    const outcomes = (await this.backend.submitMany(valid))[Symbol.iterator]()
    return prepared.map((item) =>
      Array.isArray(item)
        ? this.itemOutcome<Output>(outcomes.next().value as BulkSubmitOutcome)
        : item,
    )
  }

  /** Holds an execution that was submitted elsewhere or earlier. */
  execution<Output = unknown>(id: ExecutionId): Execution<Output> {
    parseExecutionId(id)
    return this.held(id, false)
  }

  /**
   * Begins to build a flow: a graph of executions in which each starts when those before it allow.
   * Nothing is stored before its `submit`.
   *
   * @throws EngineError `invalid_input` when the kind is not a word of 1 to 64 bytes.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * const build = task({ name: 'build', run: (_context, ref: string) => `app at ${ref}` })
   * const check = task({
   *   name: 'check',
   *   async run(context, suite: string) {
   *     const inputs = await context.inputs()
   *     return `${suite} of ${inputs.result('build')}`
   *   },
   * })
   * const engine = await openEngine()
   * await engine.work([build, check], { concurrency: 2 })
   * const flow = engine.flow('release')
   * const built = flow.add(build, 'main')
   * const unit = flow.add(check, 'unit', { after: { build: built } })
   * const run = await flow.submit()
   * console.log((await run.result()).state, '-', await run.execution(unit).result())
   * // completed - unit of app at main
   * await engine.close()
   * ```
   */
  flow(kind: string, options: FlowOptions = {}): Flow {
    const { backend, codec } = this
    return new Flow(kind, options, {
      backend,
      codec,
      held: (id, duplicate) => this.heldFlow(id, duplicate),
    })
  }

  /** Holds a flow that was submitted elsewhere or earlier. */
  flowRun(id: FlowId): FlowRun {
    parseExecutionId(id)
    return this.heldFlow(id, false)
  }

  /**
   * Starts a worker for some tasks: it claims their lanes, runs up to `concurrency` attempts at a
   * time, renews their leases, and survives faults of the connection.
   */
  async work(tasks: readonly AnyTask[], options: WorkOptions = {}): Promise<Worker> {
    const { codec } = this
    const parts = { codec, urlOf: (token: string) => this.signalAddress(token) }
    const input = workerInput(this.backend, tasks, parts, {
      ...options,
      onError: options.onError === undefined ? this.onError : faultListener(options.onError),
    })
    if (this.isClosing) throw new EngineError('engine_closed', 'the engine was closed')
    this.started += 1
    const id = `worker-${this.started}`
    this.actor.send({ type: 'work', id, input })
    const ref = this.actor.getSnapshot().children[id] as ActorRefFrom<typeof workerMachine>
    const worker = new Worker(input.worker, ref)
    this.workers.add(worker)
    const forget = () => {
      this.workers.delete(worker)
      if (this.actor.getSnapshot().status === 'active') this.actor.send({ type: 'ended', id })
    }
    ref.subscribe({ complete: forget, error: forget })
    return worker
  }

  /**
   * Signals a waitpoint by its token: the wait that it is for goes on with the payload. Stored once
   * the promise resolves; with an idempotency key it is accepted once, however often it is sent.
   *
   * @throws EngineError `missing_token`, `invalid_token`, `token_expired`; `waitpoint_closed` and
   * `target_not_signalable` when it comes too late; `signal_limit_exceeded`,
   * `signal_rate_limited`; `payload_too_large` above 64 KiB.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * const engine = await openEngine()
   * const sendMail = (token: string) => void engine.signal(token, { by: 'Ada' })
   * const publish = task({
   *   name: 'publish',
   *   async run(context, draft: string) {
   *     const { token } = await context.waitpoint('approval')
   *     sendMail(token)
   *     const approval = await context.waitFor<{ by: string }>('approval', { timeout: '2d' })
   *     return `${draft}, approved by ${approval.payload.by}`
   *   },
   * })
   * await engine.work([publish])
   * const execution = await engine.submit(publish, 'a draft')
   * console.log(await execution.result())
   * // a draft, approved by Ada
   * await engine.close()
   * ```
   */
  signal(token: string, payload?: unknown, options: SignalOptions = {}): Promise<DeliverOutcome> {
    return this.backend.deliverSignal({
      token,
      ...encodePayload(this.codec, payload),
      ...options,
    })
  }

  /**
   * A handler of fetch-style requests that takes signals, and does nothing else: mount it where
   * `signalUrl` points. See `SignalHandlerOptions` for what an application can say of senders.
   */
  signalHandler(
    options: Omit<SignalHandlerOptions, 'deliver'> = {},
  ): (request: Request) => Promise<Response> {
    return signalHandler({
      onError: this.onError,
      ...options,
      deliver: (signal) => this.backend.deliverSignal(signal),
    })
  }

  /**
   * Everything that happens to executions and flows from now on, or after an earlier event by its
   * `cursor`, also in another process. Events of one partition, and so of one execution or flow,
   * come in their order; there is no order between partitions. Whoever goes on from the cursor of
   * the last event that was handled loses none and meets none twice, also when the connection is
   * lost meanwhile. Where events were dropped before they were read, an item with `event: 'gap'`
   * says so.
   *
   * The iteration ends when the signal fires or the engine is closed.
   *
   * @throws EngineError `invalid_input` when `from` is no cursor of an engine with as many
   * partitions; `engine_closed`.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * const hello = task({ name: 'hello', run: () => 'hello' })
   * const engine = await openEngine()
   * const events = engine.events()
   * await engine.submit(hello, undefined)
   * for await (const { event } of events) {
   *   console.log(event)
   *   break
   * }
   * await engine.close()
   * // submit
   * ```
   */
  events(options: EventOptions = {}): AsyncIterableIterator<FeedItem> {
    if (this.closing.signal.aborted) {
      throw new EngineError('engine_closed', 'the engine was closed')
    }
    return followFeed(this.backend, options, this.closing.signal)
  }

  /**
   * Every execution that fits, of those that are kept: page after page, only as far as somebody
   * reads. What exists and fits all the while comes once. A tag with its value is found by an
   * index; for all else every execution is looked at, a thousand at a time.
   *
   * @throws EngineError `invalid_input` when a filter is wrong or unknown.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * const engine = await openEngine()
   * const report = task({ name: 'report', run: () => 'done' })
   * await engine.submit(report, undefined, { tags: { customer: '7' } })
   * const tag = { name: 'customer', value: '7' }
   * for await (const found of engine.search({ tag, state: 'waiting' })) {
   *   console.log(found.task, found.publicState)
   *   await engine.execution(found.executionId).cancel()
   * }
   * await engine.close()
   * // report waiting
   * ```
   */
  search(options: SearchOptions = {}): AsyncGenerator<FoundExecution, void, undefined> {
    return searchExecutions(this.backend, options, this.onError)
  }

  /** Stops all workers, as `worker.stop` does, and closes the backend. */
  async close(options: { readonly grace?: Duration } = {}): Promise<void> {
    parseDurationMs(options.grace ?? 0, 'grace')
    this.isClosing = true
    await Promise.all([...this.workers].map((worker) => worker.stop(options)))
    if (this.actor.getSnapshot().status === 'active') this.actor.send({ type: 'close' })
    this.closing.abort()
    await Promise.all([this.endings.close(), this.flowEndings.close()])
    await this.backend.close()
  }

  private signalAddress(token: string): string | undefined {
    return this.signalUrl === undefined
      ? undefined
      : `${this.signalUrl.replace(/\/+$/, '')}/${token}`
  }

  private itemOutcome<Output>(outcome: BulkSubmitOutcome): SubmitItemOutcome<Output> {
    if (outcome.outcome === 'refused') return outcome
    const { executionId } = outcome
    const execution = this.held<Output>(executionId, outcome.outcome === 'duplicate')
    return { outcome: outcome.outcome, execution }
  }

  private held<Output>(id: ExecutionId, duplicate: boolean): Execution<Output> {
    const { backend, endings, codec } = this
    return new Execution<Output>(id, duplicate, {
      backend,
      endings,
      codec,
      urlOf: (token) => this.signalAddress(token),
      flowRun: (flowId) => this.heldFlow(flowId, true),
      signal: (token, payload, options) => this.signal(token, payload, options),
    })
  }

  private heldFlow(id: FlowId, duplicate: boolean): FlowRun {
    return new FlowRun(id, duplicate, {
      backend: this.backend,
      endings: this.flowEndings,
      execution: (executionId) => this.held(executionId, false),
    })
  }
}
