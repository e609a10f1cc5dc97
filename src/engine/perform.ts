// Runs the user's code for one attempt and says what came of it.
import type { Perform, Performed } from '../actors/attempt-pool.ts'
import { isEngineError } from '../errors.ts'
import { bytesMax } from '../limits.ts'
import type { ClaimedExecution, EngineBackend } from '../persistence/backend.ts'
import { parseDurationMs } from '../time.ts'
import { Children, type ChildrenBackend } from './children.ts'
import { Emitter } from './emitter.ts'
import { Inputs } from './inputs.ts'
import type { Codec } from './json-codec.ts'
import { Upstreams } from './outcome.ts'
import { type AnyTask, checkInput, NonRetryableError, type TaskContext } from './task.ts'
import { WaitLine } from './wait-line.ts'
import { type WaitOptions, Waits, type WaitsParts } from './waits.ts'

/** Work that this process has no code for goes back for so long, in milliseconds. */
const unknownTaskDelayMs = 1000

const stackBytesMax = 16_384

type PerformBackend = Pick<
  EngineBackend,
  'progress' | 'appendFrame' | 'readStream' | 'reportUsage' | 'reserveUsage' | 'readInputs'
> &
  WaitsParts['backend'] &
  ChildrenBackend

export interface PerformOptions {
  readonly backend: PerformBackend
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly codec: Codec
  /** The address at which a token's signal is taken, if there is one. */
  readonly urlOf: (token: string) => string | undefined
  readonly onError: (error: unknown) => void
}

export function performer(options: PerformOptions): Perform {
  const { tasks, codec, onError } = options
  return async (claimed, signal) => {
    const task = tasks.get(claimed.task)
    if (task === undefined) {
      onError(new Error(`lane ${claimed.lane} holds work for the unknown task ${claimed.task}`))
      const claimedAtMs = claimed.expiresAtMs - claimed.leaseMs
      return { outcome: 'delayed', untilMs: claimedAtMs + unknownTaskDelayMs }
    }
    let input: unknown
    try {
      input = await checkInput(task, codec.decode(claimed.input))
    } catch (error) {
      // The same input will not fit better the next time.
      return failure(error, 'permanent')
    }
    return new Promise<Performed>((resolve, reject) => {
      // Once it is suspended, whatever the task still does is not this attempt's outcome.
      const parked = () => resolve({ outcome: 'suspended' })
      const attempt = new Attempt(options, task, claimed, parked)
      // The stream closes with the attempt, so what was emitted comes first.
      const settled = async (performed: Performed) => {
        if (attempt.isWaiting) onError(forgottenWait(claimed.task))
        const unheard = await attempt.settled()
        if (unheard !== undefined) onError(forgottenFrame(claimed.task, unheard))
        return performed
      }
      run(task, attempt.context(signal), input, codec).then(settled).then(resolve, reject)
    })
  }
}

/** What a task can do in one attempt; what it does not use is not made. */
class Attempt {
  private readonly options: PerformOptions
  private readonly task: AnyTask
  private readonly claimed: ClaimedExecution
  private readonly parked: () => void
  private readonly line = new WaitLine()
  private emitter: Emitter | undefined
  private waits: Waits | undefined
  private children: Children | undefined
  private upstreams: Upstreams | undefined

  constructor(
    options: PerformOptions,
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
    const { backend } = this.options
    const { attempt, epoch, executionId, handle } = this.claimed
    return {
      executionId,
      attempt,
      epoch,
      signal,
      progress: (percent, message) => backend.progress(handle, Math.floor(percent), message),
      waitFor: (name: string, options: WaitOptions = {}) =>
        this.waiting().waitFor(name, options) as never,
      waitpoint: (name, options = {}) => this.waiting().waitpoint(name, options),
      inputs: async () => new Inputs(this.options.codec, await this.reading().all()),
      spawn: async (task, input, options = {}) => this.parenting().spawn(task, input, options),
      waitChildren: async (options = {}) => this.parenting().waitChildren(options) as never,
      emit: (type, payload, options) => this.emitting().emit(type, payload, options),
      usage: (budget, amounts, options = {}) =>
        backend.reportUsage(handle, budget, { ...options, custom: amounts }),
      reserve: async (budget, amounts, { ttl, dedupKey } = {}) => {
        const ttlMs = ttl === undefined ? undefined : parseDurationMs(ttl, 'ttl')
        return backend.reserveUsage(handle, budget, { amounts, ttlMs, dedupKey })
      },
    }
  }

  /** Whether a wait is still under way. */
  get isWaiting(): boolean {
    return this.line.isWaiting
  }

  /**
   * Resolves when nothing that was emitted or spawned is on its way any more, with the fault of a
   * frame that was not appended and that the task never asked about.
   */
  async settled(): Promise<unknown> {
    await Promise.all([this.emitter?.settled(), this.children?.settled()])
    return this.emitter?.unheard
  }

  private emitting(): Emitter {
    const { backend, codec } = this.options
    this.emitter ??= new Emitter(backend, this.claimed, codec)
    return this.emitter
  }

  private waiting(): Waits {
    const { claimed, line, parked } = this
    this.waits ??= new Waits({ ...this.options, claimed, line, parked })
    return this.waits
  }

  private reading(): Upstreams {
    this.upstreams ??= new Upstreams(this.options.backend, this.claimed.executionId)
    return this.upstreams
  }

  private parenting(): Children {
    const { claimed, line, parked, task } = this
    const upstreams = this.reading()
    this.children ??= new Children({ ...this.options, claimed, line, parked, task, upstreams })
    return this.children
  }
}

async function run(
  task: AnyTask,
  context: TaskContext,
  input: unknown,
  codec: Codec,
): Promise<Performed> {
  try {
    return completed(codec, await task.run(context, input as never))
  } catch (error) {
    return failure(error, isFinal(error) ? 'permanent' : 'transient')
  }
}

const finalCodes = [
  'dependency_failed',
  'quorum_unreachable',
  'signal_misfit',
  'wait_timed_out',
] as const

/** Whether trying again would come to the same. */
function isFinal(error: unknown): boolean {
  return error instanceof NonRetryableError || isEngineError(error, ...finalCodes)
}

/** The execution is suspended by then, so that whatever the task returned is dropped. */
function forgottenWait(task: string): Error {
  const what = `task ${task} ended while it was waiting`
  return new Error(`${what}; await every waitFor and waitChildren, and race none`)
}

function forgottenFrame(task: string, cause: unknown): Error {
  return new Error(`task ${task} emitted what was not stored; await every emit to hear of it`, {
    cause,
  })
}

function completed(codec: Codec, output: unknown): Performed {
  if (output === undefined) return { outcome: 'completed', payload: undefined }
  try {
    const payload: unknown = codec.encode(output)
    if (!(payload instanceof Uint8Array)) throw new TypeError('the codec did not make bytes')
    if (payload.byteLength <= bytesMax.input) return { outcome: 'completed', payload }
    const what = `the result is ${payload.byteLength} bytes, more than ${bytesMax.input}`
    return failure(new Error(what), 'permanent')
  } catch (error) {
    // Running again would give the same result, which cannot be stored either.
    return failure(error, 'permanent')
  }
}

function failure(error: unknown, failureClass: 'permanent' | 'transient'): Performed {
  const { message, stack } = textsOf(error)
  return {
    outcome: 'failed',
    failureClass,
    reason: {
      message: truncate(message, bytesMax.text),
      detail: stack === undefined ? undefined : Buffer.from(truncate(stack, stackBytesMax)),
    },
  }
}

/** What a thrown value says of itself; it may be anything, also what throws when asked. */
function textsOf(error: unknown): { message: string; stack: string | undefined } {
  try {
    const { message, stack } = error instanceof Error ? error : { message: error, stack: undefined }
    return { message: String(message), stack: stack === undefined ? undefined : String(stack) }
  } catch {
    return { message: 'a value that cannot be written as text was thrown', stack: undefined }
  }
}

function truncate(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  if (bytes.byteLength <= bytesMax) return text
  // A character cut in half decodes to a replacement mark, which may be longer than what it marks.
  return bytes
    .subarray(0, bytesMax - 4)
    .toString()
    .replace(/\uFFFD+$/, '')
}
