// Runs the user's code for one attempt and says what came of it.
import type { Perform, Performed } from '../actors/attempt-pool.ts'
import { isEngineError } from '../errors.ts'
import { bytesMax } from '../limits.ts'
import { Attempt, type AttemptOptions } from './attempt.ts'
import type { Codec } from './json-codec.ts'
import { type AnyTask, checkInput, NonRetryableError, type TaskContext } from './task.ts'

/** Work that this process has no code for goes back for so long, in milliseconds. */
const unknownTaskDelayMs = 1000

const stackBytesMax = 16_384

export interface PerformOptions extends AttemptOptions {
  readonly tasks: ReadonlyMap<string, AnyTask>
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
        await attempt.answers.settled()
        const { unheard } = attempt.answers
        if (unheard !== undefined) onError(forgottenFault(claimed.task, unheard))
        return performed
      }
      run(task, attempt.context(signal), input, codec).then(settled).then(resolve, reject)
    })
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

function forgottenFault(task: string, cause: unknown): Error {
  const what = `task ${task} asked for something that failed, and never looked`
  return new Error(`${what}; await what its context promises to hear of it`, { cause })
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
