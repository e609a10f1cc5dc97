// Runs the user's code for one attempt and says what came of it.
import type { Perform, Performed } from '../actors/attempt-pool.ts'
import { isEngineError } from '../errors.ts'
import type { ClaimedExecution, EngineBackend } from '../persistence/backend.ts'
import type { Codec } from './json-codec.ts'
import { type AnyTask, checkInput, NonRetryableError, type TaskContext } from './task.ts'

/** Work that this process has no code for goes back for so long, in milliseconds. */
const unknownTaskDelayMs = 1000

export interface PerformOptions {
  readonly backend: Pick<EngineBackend, 'progress'>
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly codec: Codec
  readonly onError: (error: unknown) => void
}

export function performer({ backend, tasks, codec, onError }: PerformOptions): Perform {
  return async (claimed, signal) => {
    const task = tasks.get(claimed.task)
    if (task === undefined) {
      onError(new Error(`lane ${claimed.lane} holds work for the unknown task ${claimed.task}`))
      return {
        outcome: 'delayed',
        untilMs: claimed.expiresAtMs - claimed.leaseMs + unknownTaskDelayMs,
      }
    }
    try {
      const input = await readInput(task, codec, claimed)
      const output = await task.run(taskContext(backend, claimed, signal), input as never)
      return { outcome: 'completed', payload: encodeOutput(codec, output) }
    } catch (error) {
      return failure(error)
    }
  }
}

async function readInput(
  task: AnyTask,
  codec: Codec,
  { input }: ClaimedExecution,
): Promise<unknown> {
  return checkInput(task, codec.decode(input))
}

function encodeOutput(codec: Codec, output: unknown): Uint8Array | undefined {
  return output === undefined ? undefined : codec.encode(output)
}

function taskContext(
  backend: Pick<EngineBackend, 'progress'>,
  claimed: ClaimedExecution,
  signal: AbortSignal,
): TaskContext {
  return {
    executionId: claimed.executionId,
    attempt: claimed.attempt,
    epoch: claimed.epoch,
    signal,
    progress: (percent, message) => backend.progress(claimed.handle, percent, message),
  }
}

/** Input that does not fit fails for good, like an error that says so; the rest may be retried. */
function failure(error: unknown): Performed {
  const isFinal = error instanceof NonRetryableError || isEngineError(error, 'invalid_input')
  const message = error instanceof Error ? error.message : String(error)
  const stack = error instanceof Error ? error.stack : undefined
  return {
    outcome: 'failed',
    failureClass: isFinal ? 'permanent' : 'transient',
    reason: {
      message: truncate(message, 2048),
      detail: stack === undefined ? undefined : Buffer.from(truncate(stack, 16_384)),
    },
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
