// Prepares work for the store: fits its input into the task's schema, and encodes it.
import { EngineError } from '../errors.ts'
import type { Submission } from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import type { Codec } from './json-codec.ts'
import {
  type AnyTask,
  checkInput,
  type ExecutionOptions,
  storedPolicies,
  type Task,
} from './task.ts'

/** What work may say beyond its task's policies, wherever it is submitted. */
export interface WorkSubmitOptions extends ExecutionOptions {
  /** Not before this long from now. */
  readonly delay?: Duration
  /** Not before this time. */
  readonly startAt?: Date
  /** The lane that its workers claim from. @defaultValue the task's lane */
  readonly lane?: string
  /** By which a search finds it, up to 64. */
  readonly tags?: Readonly<Record<string, string>>
}

/** What one submission may say beyond its task's policies. */
export interface SubmitOptions extends WorkSubmitOptions {
  /** The same key with the same submission answers with the same execution. */
  readonly idempotencyKey?: string
}

/** Throws `invalid_input` when the input does not fit the task or cannot be encoded. */
export async function prepareSubmission<Input>(
  codec: Codec,
  task: Task<Input, unknown>,
  input: Input,
  options: SubmitOptions,
): Promise<Submission> {
  const { bytes, read } = encode(codec, task, input)
  // What the worker will see is what must fit: a codec may change a value, as JSON does a Date.
  await checkInput(task, read)
  return {
    ...storedPolicies({ ...task, ...options }),
    lane: options.lane ?? task.lane,
    task: task.name,
    // What a schema makes of it may not fit the schema again: what was given is stored.
    input: bytes,
    idempotencyKey: options.idempotencyKey,
    delayMs: options.delay === undefined ? undefined : parseDurationMs(options.delay, 'delay'),
    startAtMs: options.startAt?.getTime(),
    tags: options.tags,
  }
}

/** The bytes of an input, and what a worker will read from them. */
function encode(
  codec: Codec,
  { name }: AnyTask,
  input: unknown,
): { bytes: Uint8Array; read: unknown } {
  try {
    const bytes: unknown = codec.encode(input)
    if (!(bytes instanceof Uint8Array)) throw new TypeError('the codec did not make bytes')
    return { bytes, read: codec.decode(bytes) }
  } catch (cause) {
    throw new EngineError('invalid_input', `the input of ${name} cannot be encoded: ${cause}`, {
      cause,
      details: { argument: 'input', task: name },
    })
  }
}
