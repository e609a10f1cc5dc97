// A submitted execution, as its submitter holds it.
import { EngineError, type ErrorCode } from '../errors.ts'
import type { ExecutionId } from '../ids.ts'
import type {
  DeliverOutcome,
  EngineBackend,
  ExecutionEnding,
  ExecutionSnapshot,
  ExecutionUsage,
  FlowId,
  SignalDelivery,
} from '../persistence/backend.ts'
import { corruptKey } from '../persistence/corruption.ts'
import { type Explanation, explainExecution } from '../persistence/explanation.ts'
import type { StreamSummary } from '../persistence/frames.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import type { Endings } from './endings.ts'
import type { FlowRun } from './flow-run.ts'
import type { Codec } from './json-codec.ts'
import { type TailedFrame, type TailOptions, tailFrames } from './tail.ts'
import { waitName } from './wait-name.ts'
import { allWaitpoints, isOpenWaitpoint, knownSignal } from './waitpoints.ts'
import type { WaitpointLink } from './waits.ts'

/** The rolling document of an attempt, as `emit` with mode `summary` made it. */
export interface ExecutionSummary extends StreamSummary {
  readonly attempt: number
  /** The document as a value; numbers that JavaScript cannot hold are exact in the text alone. */
  readonly value: unknown
}

export interface ExecutionParts {
  readonly backend: Pick<
    EngineBackend,
    | 'describeExecution'
    | 'cancelExecution'
    | 'listWaitpoints'
    | 'listSignals'
    | 'waitpointToken'
    | 'waitpointTokens'
    | 'resumeExecution'
    | 'tailStream'
    | 'readSummary'
    | 'describeUsage'
    | 'resolveExecutionFlowId'
    | 'describeFlow'
    | 'describeBudget'
    | 'listEdges'
    | 'listLanes'
    | 'replaySubgraph'
  >
  readonly flowRun: (id: FlowId) => FlowRun
  readonly urlOf: (token: string) => string | undefined
  readonly signal: (
    token: string,
    payload: unknown,
    options: SignalOptions,
  ) => Promise<DeliverOutcome>
  readonly endings: Endings
  readonly codec: Codec
}

/** What a signal may say beside its payload. */
export type SignalOptions = Pick<
  SignalDelivery,
  'name' | 'category' | 'source' | 'identity' | 'correlationId' | 'idempotencyKey'
>

/** A waitpoint that takes signals. */
export interface OpenWaitpoint extends WaitpointLink {
  readonly name: string
  /** `active` when the execution is suspended on it, `pending` when it will be. */
  readonly state: 'pending' | 'active'
  readonly createdAt: Date
}

/** One execution: wait for its result, look at it, cancel it. Any process can hold it by its id. */
export class Execution<Output = unknown> {
  readonly id: ExecutionId
  /** True when the idempotency key had already made this execution. */
  readonly duplicate: boolean
  private readonly parts: ExecutionParts

  /** @internal */
  constructor(id: ExecutionId, duplicate: boolean, parts: ExecutionParts) {
    this.id = id
    this.duplicate = duplicate
    this.parts = parts
  }

  /**
   * Waits for the end and returns what the task returned. Safe to call at any time, any number of
   * times, from any process, until retention forgets the execution.
   *
   * @throws EngineError `execution_failed`, `execution_cancelled`, `execution_expired` or
   * `execution_skipped` when it ended otherwise; `result_timeout`; `execution_not_found`.
   */
  async result(options: { readonly timeout?: Duration } = {}): Promise<Output> {
    const { timeout } = options
    const timeoutMs = timeout === undefined ? undefined : parseDurationMs(timeout, 'timeout')
    const ending = await this.parts.endings.of(this.id, timeoutMs)
    if (ending.outcome !== 'completed') throw endingError(this.id, ending)
    const { result } = ending
    return (result === undefined ? undefined : this.parts.codec.decode(result)) as Output
  }

  /** Everything small about it; undefined when retention has forgotten it. */
  describe(): Promise<ExecutionSnapshot | undefined> {
    return this.parts.backend.describeExecution(this.id)
  }

  /** The waitpoints that take signals now: what the execution waits for or will wait for. */
  async waitpoints(): Promise<readonly OpenWaitpoint[]> {
    const { backend, urlOf } = this.parts
    const points = (await allWaitpoints(backend, this.id)).filter(isOpenWaitpoint)
    if (points.length === 0) return []
    const ids = points.map(({ waitpointId }) => waitpointId)
    const tokens = await backend.waitpointTokens(this.id, ids)
    return points.map(({ key, state, createdAtMs }, at) => {
      const token = tokens[at] as string
      const createdAt = new Date(createdAtMs)
      return { name: waitName(key), state, token, url: urlOf(token), createdAt }
    })
  }

  /**
   * Signals its open waitpoint of that name, for those who hold the engine and need no token. The
   * same idempotency key again is told what the first one did, whatever happened since.
   *
   * @throws EngineError `waitpoint_not_found` when it never waited for that name nor issued it;
   * otherwise like `engine.signal`.
   */
  async signal(
    name: string,
    payload?: unknown,
    options: SignalOptions = {},
  ): Promise<DeliverOutcome> {
    const { backend, signal } = this.parts
    const points = (await allWaitpoints(backend, this.id)).filter(
      (point) => point.isCurrent && waitName(point.key) === name,
    )
    const known = await knownSignal(backend, this.id, points, options.idempotencyKey)
    if (known !== undefined) return known
    // The latest one tells why it takes no signal any more.
    const target = points.find(isOpenWaitpoint) ?? points.at(-1)
    if (target === undefined) {
      throw new EngineError('waitpoint_not_found', `execution ${this.id} has no open ${name}`, {
        details: { executionId: this.id, name },
      })
    }
    const token = await backend.waitpointToken(this.id, target.waitpointId)
    return signal(token, payload, options)
  }

  /** Resumes it whatever it waits for; its wait then rejects with `wait_overridden`. */
  async resume(options: { readonly delay?: Duration } = {}): Promise<void> {
    const { delay } = options
    const delayMs = delay === undefined ? undefined : parseDurationMs(delay, 'delay')
    await this.parts.backend.resumeExecution(this.id, { delayMs })
  }

  /**
   * The frames that its attempts emit, as they come: of the current attempt and of those that
   * follow, until the execution has ended. A reader that was away goes on with `after`.
   *
   * @throws EngineError `execution_not_found`; `connection_timeout`, after which the last frame's
   * cursor leads on; `engine_closed`.
   * @example
   * ```ts
   * import { openEngine, task } from 'holdfast'
   *
   * const count = task({
   *   name: 'count',
   *   async run(context, to: number) {
   *     for (let at = 1; at <= to; at++) await context.emit('number', at)
   *   },
   * })
   * const engine = await openEngine()
   * await engine.work([count])
   * const execution = await engine.submit(count, 3)
   * for await (const frame of execution.tail()) console.log(frame.number, frame.type, frame.value)
   * // 1 number 1
   * // 2 number 2
   * // 3 number 3
   * await engine.close()
   * ```
   */
  tail(options: TailOptions = {}): AsyncGenerator<TailedFrame, void, undefined> {
    return tailFrames(this.parts, this.id, options)
  }

  /** What each of its attempts used of which budget. */
  usage(): Promise<ExecutionUsage> {
    return this.parts.backend.describeUsage(this.id)
  }

  /** The rolling document of the current or the given attempt; undefined when it has none. */
  async summary(
    options: { readonly attempt?: number } = {},
  ): Promise<ExecutionSummary | undefined> {
    const { backend } = this.parts
    const newest = async () => ((await backend.describeExecution(this.id))?.totalAttempts ?? 1) - 1
    const attempt = options.attempt ?? Math.max(0, await newest())
    const summary = await backend.readSummary(this.id, attempt)
    if (summary === undefined) return undefined
    const key = `summary:${this.id}:${attempt}`
    return { ...summary, attempt, value: readDocument(summary.document, key) }
  }

  /** Ends it as cancelled, whoever works on it: that attempt's signal fires at once, anywhere. */
  async cancel(reason = 'cancelled by the application'): Promise<void> {
    await this.parts.backend.cancelExecution(this.id, reason)
  }

  /**
   * Why it does not run and what would make it run, as data and in a sentence for people; undefined
   * when it is unknown. Read in several steps, so that it may join moments a little apart.
   */
  explain(): Promise<Explanation | undefined> {
    return explainExecution(this.parts.backend, this.id)
  }

  /** The flow that it belongs to, or undefined; a task that spawns children begins one. */
  async flow(): Promise<FlowRun | undefined> {
    const flowId = await this.parts.backend.resolveExecutionFlowId(this.id)
    return flowId === undefined ? undefined : this.parts.flowRun(flowId)
  }

  /**
   * Runs it again after it ended, and with it all nodes of its flow that were skipped, or failed,
   * because of it; the flow is open again. Attempts and epochs go on counting.
   *
   * @throws EngineError `execution_not_terminal`; `dependency_failed` while one before it stands
   * against it: replay that one; `flow_ended` when its flow was cancelled;
   * `max_replays_exhausted`.
   */
  async replaySubgraph(): Promise<void> {
    await this.parts.backend.replaySubgraph(this.id)
  }
}

function readDocument(document: string, key: string): unknown {
  try {
    return JSON.parse(document)
  } catch (cause) {
    return corruptKey(key, 'document', 'does not parse', cause)
  }
}

function endingError(
  id: ExecutionId,
  ending: Exclude<ExecutionEnding, { outcome: 'completed' }>,
): EngineError {
  const details: Record<string, unknown> = { executionId: id, reason: ending.reason }
  let what = ending.reason
  if (ending.outcome === 'failed') {
    details.failureClass = ending.failureClass
    details.message = ending.failure?.message
    what = ending.failure?.message ?? ending.reason
  } else if (ending.outcome === 'cancelled') {
    details.message = ending.message
    what = ending.message || ending.reason
  }
  const code: ErrorCode = `execution_${ending.outcome}`
  return new EngineError(code, `execution ${id} ${ending.outcome}: ${what}`, { details })
}
