// Follows the streams of an execution's attempts, frame by frame, until it has ended.
import { pause } from '../actors/pause.ts'
import { EngineError, isEngineError } from '../errors.ts'
import type { ExecutionId } from '../ids.ts'
import type { EngineBackend } from '../persistence/backend.ts'
import type { FramePage, StoredFrame } from '../persistence/frames.ts'
import type { Codec } from './json-codec.ts'

/** A frame of an attempt's stream, as its reader gets it. */
export interface TailedFrame extends StoredFrame {
  readonly attempt: number
  /** Hand it to `tail({ after })` to go on behind this frame, from any process. */
  readonly cursor: string
  /** The payload as it was emitted: bytes, text, or a value. */
  readonly value: unknown
}

export interface TailOptions {
  /** Only this attempt. @defaultValue the current one, and those that follow */
  readonly attempt?: number
  /** The cursor of the last frame that was read. @defaultValue from the first frame */
  readonly after?: string
  /** Ends the iteration. */
  readonly signal?: AbortSignal
}

export interface TailParts {
  readonly backend: Pick<EngineBackend, 'describeExecution' | 'tailStream'>
  readonly codec: Codec
}

interface Place {
  readonly attempt: number
  readonly number: number
}

const waitMs = 30_000
const pageCount = 100

function parseCursor(cursor: string): Place {
  const match = /^(\d{1,10}):(\d{1,16})$/.exec(cursor)
  if (match !== null) return { attempt: Number(match[1]), number: Number(match[2]) }
  throw new EngineError('invalid_input', 'after is not the cursor of a frame', {
    details: { argument: 'after', given: cursor },
  })
}

export async function* tailFrames(
  parts: TailParts,
  id: ExecutionId,
  options: TailOptions,
): AsyncGenerator<TailedFrame, void, undefined> {
  const { signal = new AbortController().signal } = options
  let place: Place | undefined = await beginning(parts, id, options)
  while (place !== undefined) {
    const { attempt, number }: Place = place
    const page: FramePage = await waitForPage(parts, id, place, signal)
    for (const frame of page.frames) {
      if (signal.aborted) return
      yield tailed(parts.codec, attempt, frame)
    }
    if (signal.aborted) return
    if (!page.ended) place = { attempt, number: Math.max(number, page.nextCursor) }
    else place = options.attempt === undefined ? await following(parts, id, attempt) : undefined
  }
}

async function beginning(parts: TailParts, id: ExecutionId, options: TailOptions): Promise<Place> {
  const { attempt, after } = options
  const cursor = after === undefined ? undefined : parseCursor(after)
  if (cursor === undefined) {
    return { attempt: attempt ?? Math.max(0, await newestAttempt(parts, id)), number: 0 }
  }
  if (attempt === undefined || attempt === cursor.attempt) return cursor
  throw new EngineError('invalid_input', `after is in attempt ${cursor.attempt}, not ${attempt}`, {
    details: { argument: 'after', given: after },
  })
}

async function newestAttempt({ backend }: TailParts, id: ExecutionId): Promise<number> {
  const snapshot = await backend.describeExecution(id)
  if (snapshot !== undefined) return snapshot.totalAttempts - 1
  throw new EngineError('execution_not_found', `there is no execution ${id}`, {
    details: { executionId: id },
  })
}

/** The stream to go on with after the end of one; undefined when the execution has ended. */
async function following(
  { backend }: TailParts,
  id: ExecutionId,
  attempt: number,
): Promise<Place | undefined> {
  const snapshot = await backend.describeExecution(id)
  if (snapshot === undefined) return undefined
  const isLast = snapshot.totalAttempts - 1 <= attempt && snapshot.endedAtMs !== undefined
  return isLast ? undefined : { attempt: attempt + 1, number: 0 }
}

/** Where too many wait already, this reader asks again a little later. */
async function waitForPage(
  { backend }: TailParts,
  id: ExecutionId,
  { attempt, number }: Place,
  signal: AbortSignal,
): Promise<FramePage> {
  for (;;) {
    try {
      return await backend.tailStream(id, attempt, {
        after: number,
        waitMs: signal.aborted ? 0 : waitMs,
        count: pageCount,
        signal,
      })
    } catch (error) {
      if (!isEngineError(error, 'tails_exhausted')) throw error
      await pause(Number(error.details.retryAfterMs), signal)
    }
  }
}

function tailed(codec: Codec, attempt: number, frame: StoredFrame): TailedFrame {
  return {
    ...frame,
    attempt,
    cursor: `${attempt}:${frame.number}`,
    // Read when it is asked for: what does not parse must not end the iteration.
    get value() {
      return readValue(codec, frame)
    },
  }
}

function readValue(codec: Codec, { encoding, mode, payload }: StoredFrame): unknown {
  if (encoding === 'binary') return payload
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  if (encoding === 'utf8') return bytes.toString()
  // The store merges patches, so no codec may change them.
  return mode === 'summary' ? JSON.parse(bytes.toString()) : codec.decode(payload)
}
