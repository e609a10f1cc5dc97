// Frames of attempt streams: what is appended, what is read, and how a stored one is read back.
import type { frameEncodings } from '../limits.ts'
import { corruptKey } from './corruption.ts'

/**
 * How a frame is kept: `durable` until 10,000 newer ones came; `live` at best until 1000 newer ones
 * came or the attempt ended; `summary` patches the attempt's rolling document and is a live frame
 * besides.
 */
export type FrameMode = 'durable' | 'live' | 'summary'

/** How the payload is to be read. */
export type FrameEncoding = (typeof frameEncodings)[number]

/** What an attempt appends to its stream. */
export interface Frame {
  /** What it is, in one word of 1 to 64 bytes, such as `token`, `log` or `stdout`. */
  readonly type: string
  /** At most 64 KiB. With `summary`: an RFC 7396 merge patch, a JSON object in UTF-8. */
  readonly payload: Uint8Array
  /** Default `binary`; with `summary` always `json`. */
  readonly encoding?: FrameEncoding | undefined
  /** Names what the frame belongs to, at most 256 bytes. */
  readonly correlationId?: string | undefined
  /**
   * The number that the frame must get: one more than the last. A number that is taken means that
   * the frame was appended before; a greater one is refused with `frame_gap`. Without it the frame
   * gets the next number, and a call that is repeated after a lost answer may append it twice.
   */
  readonly seq?: number | undefined
  /** Default `durable`. */
  readonly mode?: FrameMode | undefined
}

export interface AppendFrameOutcome {
  readonly outcome: 'appended'
  /** Number of the frame in its attempt, from 1: its place in the order, and the cursor. */
  readonly number: number
  /** How many frames were ever appended. */
  readonly frameCount: number
  /** With mode `summary`: the version of the document that the patch made. */
  readonly summaryVersion: number | undefined
  /** True when the frame had been appended before. */
  readonly replayed: boolean
}

/** A frame as readers get it. */
export interface StoredFrame {
  readonly number: number
  readonly type: string
  readonly mode: FrameMode
  readonly encoding: FrameEncoding
  readonly payload: Uint8Array
  readonly correlationId: string | undefined
  /** With mode `summary`: the version of the document that the patch made. */
  readonly summaryVersion: number | undefined
  /** The server's time of the append. */
  readonly atMs: number
}

export interface FramePage {
  /** In the order of their numbers. Numbers are missing where frames are not kept any more. */
  readonly frames: readonly StoredFrame[]
  /** The last number that was looked at: the cursor to continue after. */
  readonly nextCursor: number
  /** Whether what was asked for has more frames than these; a page holds about 4 MiB at most. */
  readonly hasMore: boolean
  /** How many frames were ever appended. */
  readonly frameCount: number
  /**
   * Whether nothing comes after `nextCursor`: the attempt is over, or the execution has ended. A
   * stream without frames is open until then.
   */
  readonly ended: boolean
  /** Why the stream was closed, such as `attempt_success`; only when it had frames. */
  readonly closedReason: string | undefined
  /** The lowest number that is still kept. */
  readonly firstRetained: number | undefined
}

export interface FrameRange {
  /** Included. Default `start`. */
  readonly from?: number | 'start' | undefined
  /** Included. Default `end`. */
  readonly to?: number | 'end' | undefined
  /** How many frames at most, 1 to 10,000. */
  readonly count: number
}

export interface TailRequest {
  /** Only frames after this number; 0 for all. */
  readonly after: number
  /** How long to wait for a frame, at most 30,000; 0 for one look. */
  readonly waitMs: number
  /** How many frames at most, 1 to 10,000. */
  readonly count: number
  /** Ends the wait early. */
  readonly signal?: AbortSignal | undefined
}

/** The rolling document of an attempt. */
export interface StreamSummary {
  /** A JSON object, as text: numbers are as they were written, however long. */
  readonly document: string
  /** Counts the patches, from 1. */
  readonly version: number
  readonly updatedAtMs: number
}

const modes: Readonly<Record<string, FrameMode>> = { d: 'durable', l: 'live', s: 'summary' }
const encodings: Readonly<Record<string, FrameEncoding>> = { b: 'binary', u: 'utf8', j: 'json' }

const headerPattern = /^(\d+) ([dls]) ([buj]) (\d+) (\d+|-) (\S+) (\d+|-)$/

/** Reads a frame as it is stored; see lua/lib/frames.lua. `key` is that of its stream. */
export function readFrame(packed: Uint8Array, key = 'frames'): StoredFrame {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  const end = bytes.indexOf(10)
  const match = headerPattern.exec(bytes.subarray(0, Math.max(0, end)).toString())
  if (match === null) return corruptKey(key, 'header', 'does not parse')
  const [, number, mode = '', encoding = '', atMs, version, type = '', length] = match
  const payloadAt = end + 1 + (length === '-' ? 0 : Number(length))
  if (payloadAt > bytes.byteLength) corruptKey(key, `${number} correlation`, 'cut off')
  return {
    number: Number(number),
    type,
    mode: modes[mode] as FrameMode,
    encoding: encodings[encoding] as FrameEncoding,
    payload: bytes.subarray(payloadAt),
    correlationId: length === '-' ? undefined : bytes.subarray(end + 1, payloadAt).toString(),
    summaryVersion: version === '-' ? undefined : Number(version),
    atMs: Number(atMs),
  }
}
