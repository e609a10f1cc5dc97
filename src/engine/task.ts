// Tasks: the user's code for one kind of work, with its policies.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { EngineError } from '../errors.ts'
import type { ExecutionId } from '../ids.ts'
import { checkWord } from '../persistence/arguments.ts'
import type {
  BudgetId,
  FailureClass,
  ReportUsageOutcome,
  ReserveOutcome,
  Submission,
  UsageAmounts,
  UsageDimensions,
} from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import type { Child, ChildOutcome, SpawnOptions, WaitChildrenOptions } from './children.ts'
import type { EmitOptions } from './emitter.ts'
import type { Inputs } from './inputs.ts'
import { checkValue } from './schema.ts'
import type { Received, WaitOptions, WaitpointLink, WaitpointOptions } from './waits.ts'

/** What a running attempt can know and do. */
export interface TaskContext {
  readonly executionId: ExecutionId
  /** Index of this attempt, from 0. */
  readonly attempt: number
  /**
   * The fencing number of this lease, greater than that of any earlier one: a resource outside can
   * refuse calls that carry a smaller one.
   */
  readonly epoch: number
  /**
   * Fires at once when the execution is cancelled or the lease is lost, in whatever process that
   * was decided, when the worker stops, and when a wait parks the execution, for what of the task
   * still runs then. It does not fire once the task has ended. Its reason is an EngineError that
   * says who and why: `execution_cancelled`, `execution_expired`, `execution_skipped`,
   * `execution_failed` (its lease was lost once too often), `attempt_timed_out`, `lease_revoked`,
   * `lease_expired`, `stale_lease`, `already_settled`, `execution_not_found` (it was purged),
   * `execution_not_active` (it is parked, or does not run for another reason), `engine_closed`.
   */
  readonly signal: AbortSignal
  /** Overwrites how far the work is. Throws when the lease is lost. */
  progress(percent: number, message?: string): Promise<void>
  /**
   * Waits for a signal. Until one comes the execution is suspended and the worker is free; then the
   * task runs again from its start, and this wait resolves with what came, also in later attempts.
   * A second wait for the same name waits for another signal. Waits follow each other.
   *
   * @throws EngineError `wait_timed_out` after `timeout`; `wait_overridden` when an operator
   * resumed the execution; `signal_misfit` when the payload does not fit the schema.
   */
  waitFor<Schema extends StandardSchemaV1>(
    name: string,
    options: WaitOptions<Schema> & { readonly schema: Schema },
  ): Promise<Received<StandardSchemaV1.InferOutput<Schema>>>
  waitFor<Payload = unknown>(name: string, options?: WaitOptions): Promise<Received<Payload>>
  /**
   * The waitpoint that the next `waitFor` of this name is about, to hand to an outsider before the
   * wait begins: signals that come early are kept. Asked again it is the same, also in later
   * attempts.
   */
  waitpoint(name: string, options?: WaitpointOptions): Promise<WaitpointLink>
  /**
   * In a flow: what the nodes that this one came after came to, by the names that it gave them and
   * as a list. Empty for an execution that came after none.
   */
  inputs(): Promise<Inputs>
  /**
   * Adds an execution of a task as a child, in the same flow; one that is in no flow begins its
   * own. When this task runs again it finds the same child by its name, or by the order of the
   * calls, and does not add it twice. A child that fails never ends its parent.
   *
   * @throws EngineError `invalid_input`; `flow_ended`; `lane_closed`; `budget_exhausted` while a
   * budget of this execution denies children.
   */
  spawn<Input, Output>(
    task: Task<Input, Output>,
    input: Input,
    options?: SpawnOptions,
  ): Promise<Child>
  /**
   * Waits for all children that this run spawned so far, and tells what they came to, in the order
   * in which they were spawned. Until then the worker is free; then the task runs again from its
   * start, as with `waitFor`.
   *
   * @throws EngineError `dependency_failed` when too many failed and `impossible` is `fail`;
   * `quorum_unreachable`.
   */
  waitChildren<Result = unknown>(
    options?: WaitChildrenOptions,
  ): Promise<readonly ChildOutcome<Result>[]>
  /**
   * Appends a frame to this attempt's stream: bytes and text as they are, anything else encoded
   * like a result. Frames keep their order and none is appended twice. Waiting for the promise,
   * which resolves with the frame's number, is only needed to keep pace with the store; a fault
   * that nobody waits for is told to the worker's `onError`.
   *
   * @throws EngineError `invalid_input` at once. The promise rejects when the lease is lost.
   */
  emit(type: string, payload: unknown, options?: EmitOptions): Promise<number>
  /**
   * Tells a budget what was used: whole numbers by dimension, such as `{ tokens: 512 }`. A limit
   * that was passed is an answer, for the task to act on. A report is counted once, however often
   * its call is repeated; under a `dedupKey` once for all attempts.
   *
   * @throws EngineError `budget_not_found`; `budget_overflow`; `invalid_input`. The promise rejects
   * when the lease is lost.
   */
  usage(
    budget: BudgetId,
    amounts: UsageAmounts,
    options?: UsageOptions,
  ): Promise<ReportUsageOutcome>
  /**
   * Holds a part of a budget for what comes next. Settle it by telling what was really used, with
   * `reservationId`; else it runs out by itself.
   */
  reserve(
    budget: BudgetId,
    amounts: UsageAmounts,
    options?: ReserveOptions,
  ): Promise<ReserveOutcome>
}

/** How to tell what was used. */
export type UsageOptions = Pick<UsageDimensions, 'dedupKey' | 'mode' | 'reservationId'>

export interface ReserveOptions {
  /** How long it is held, up to a day. @defaultValue '1m' */
  readonly ttl?: Duration
  /** The same key again, while it is held, is the same reservation. */
  readonly dedupKey?: string
}

/** When and how often a failed attempt is tried again. */
export interface TaskRetry {
  /** Attempts in all, the first included. */
  readonly attempts: number
  /** Whether each wait is as long as the first, or longer by `multiplier`. @defaultValue 'fixed' */
  readonly backoff?: 'fixed' | 'exponential'
  /** The first wait (with `fixed`, every wait). @defaultValue '1s' */
  readonly delay?: Duration
  /** No wait is longer. @defaultValue '1m' */
  readonly maxDelay?: Duration
  /** Growth per retry of an exponential backoff. @defaultValue 2 */
  readonly multiplier?: number
  /** Draw each wait evenly between nothing and the computed one. @defaultValue false */
  readonly jitter?: boolean
  /** Which failures are retried. @defaultValue ['transient', 'infra_crash'] */
  readonly on?: readonly FailureClass[]
}

/** What can be said per task and, at submission, per execution. */
export interface ExecutionOptions {
  /** 0 to 9000; higher goes first within a partition, always. @defaultValue 0 */
  readonly priority?: number
  /** When and how often a failed attempt is tried again. @defaultValue not at all */
  readonly retry?: TaskRetry
  /** How long one attempt may work. @defaultValue for ever, while its lease is renewed */
  readonly attemptTimeout?: Duration
  /** How long the execution may take in all, from its submission. */
  readonly deadline?: Duration
  /**
   * How long the ended execution is kept. One in a flow is kept for as long as its flow, whatever
   * it says itself, unless it is the root of one that says nothing. @defaultValue '1d'
   */
  readonly retention?: Duration | 'forever'
  /** What a worker must offer to be given this work. */
  readonly capabilities?: readonly string[]
  /** Name of the limit that counts this work; see `engine.limits`. */
  readonly limit?: string
  /**
   * For whom the work is: a tenant, a customer. Keys take turns, whatever the backlog of each, and
   * a limit can count each of them for itself.
   */
  readonly fairnessKey?: string
  /** Ids of up to eight budgets; when one is used up, the work does as that budget says. */
  readonly budgets?: readonly string[]
}

/** What a task says about itself, besides its code and the shape of its input. */
export interface TaskSettings extends ExecutionOptions {
  /** By which workers know what to run; a word of up to 64 bytes. */
  readonly name: string
  /** The queue that its work waits in, and that its workers claim from. @defaultValue its name */
  readonly lane?: string
}

/** A task whose input is described by a schema. */
export interface SchemaTaskOptions<Schema extends StandardSchemaV1, Output> extends TaskSettings {
  /** Any Standard Schema; checked when submitting and again before running. */
  readonly input: Schema
  run(context: TaskContext, input: StandardSchemaV1.InferOutput<Schema>): Promise<Output> | Output
}

/** A task whose input is whatever its code takes. */
export interface PlainTaskOptions<Input, Output> extends TaskSettings {
  readonly input?: undefined
  run(context: TaskContext, input: Input): Promise<Output> | Output
}

/** A task, ready to be submitted and worked on. */
export interface Task<Input = unknown, Output = unknown> extends TaskSettings {
  readonly lane: string
  readonly input?: StandardSchemaV1<Input> | undefined
  // What the schema makes of the input is known to the task's own code alone.
  run(context: TaskContext, input: never): Promise<Output> | Output
}

/**
 * Defines a task: code that runs at least once per execution, under a lease that only one worker
 * holds. An attempt that ends in a crash, a lost lease or a retried failure is run again, so its
 * effects outside must bear repetition (fence them with `epoch`).
 *
 * @throws EngineError `invalid_input` when the name is not a word of 1 to 64 bytes.
 * @example
 * ```ts
 * import { openEngine, task } from 'holdfast'
 *
 * const greet = task({
 *   name: 'greet',
 *   retry: { attempts: 3, backoff: 'exponential', delay: '200ms' },
 *   run: async (_context, input: { name: string }) => `Hello, ${input.name}!`,
 * })
 * const engine = await openEngine()
 * await engine.work([greet])
 * const execution = await engine.submit(greet, { name: 'Ada' })
 * console.log(await execution.result())
 * // Hello, Ada!
 * await engine.close()
 * ```
 */
export function task<Schema extends StandardSchemaV1, Output>(
  options: SchemaTaskOptions<Schema, Output>,
): Task<StandardSchemaV1.InferInput<Schema>, Output>
export function task<Output, Input = void>(
  options: PlainTaskOptions<Input, Output>,
): Task<Input, Output>
export function task(options: TaskSettings & Pick<Task, 'input' | 'run'>): Task {
  const { name, lane = name } = options
  checkWord('name', name)
  checkWord('lane', lane)
  if (typeof options.run !== 'function') {
    throw new EngineError('invalid_input', `task ${name} has no code to run`, {
      details: { argument: 'run' },
    })
  }
  return { ...options, lane }
}

/** A task of whatever types. */
// Each task brings its own types; whoever holds several only hands each its own input.
// biome-ignore lint/suspicious/noExplicitAny: a list of tasks of different types
export type AnyTask = Task<any, any>

/** Throw it to fail an execution for good: no retry can help. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError'
}

/** What a task's schema makes of a value; throws `invalid_input` with every issue found. */
export async function checkInput(
  { name, input: schema }: AnyTask,
  value: unknown,
): Promise<unknown> {
  if (schema === undefined) return value
  return checkValue(`the input of ${name}`, schema, value, { argument: 'input', task: name })
}

/** The policies as the backend takes them. */
export function storedPolicies(options: ExecutionOptions): Partial<Submission> {
  const ms = (duration: Duration | undefined, argument: string) =>
    duration === undefined ? undefined : parseDurationMs(duration, argument)
  const { retry, retention } = options
  return {
    priority: options.priority,
    limit: options.limit,
    fairnessKey: options.fairnessKey,
    attemptTimeoutMs: ms(options.attemptTimeout, 'attemptTimeout'),
    deadlineMs: ms(options.deadline, 'deadline'),
    retentionMs: retention === 'forever' ? 'forever' : ms(retention, 'retention'),
    capabilities: options.capabilities,
    budgets: options.budgets,
    retry:
      retry === undefined
        ? undefined
        : {
            attempts: retry.attempts,
            backoff: retry.backoff,
            delayMs: ms(retry.delay, 'retry.delay'),
            maxDelayMs: ms(retry.maxDelay, 'retry.maxDelay'),
            multiplier: retry.multiplier,
            jitter: retry.jitter,
            on: retry.on,
          },
  }
}
