// The streams of all executions: state, frames and rolling documents, as durable records.
import { counts } from '../../limits.ts'
import { FrameList, type NewFrame, type PackedFrame, packFrame } from './frame-list.ts'
import type { ChangeLog } from './record-map.ts'

/** The rolling document of an attempt. */
export interface StoredSummary {
  readonly version: number
  readonly updatedAtMs: number
  readonly document: Uint8Array
}

/** What is known of the stream of one attempt. */
export interface StoredStream {
  /** Number of the newest frame that was ever appended. */
  last: number
  bytes: number
  readonly createdAtMs: number
  lastAtMs: number
  closed: { readonly atMs: number; readonly reason: string } | undefined
  readonly durable: FrameList
  /** Worth nothing after a restart, and so not kept in a directory. */
  readonly live: FrameList
  summary: StoredSummary | undefined
}

const statePattern = /^(\d+) (\d+) (\d+) (\d+)(?: (\d+) (\S+))?$/

/** The state as the other store keeps it. */
export function stateText(stream: StoredStream): string {
  const { last, bytes, createdAtMs, lastAtMs, closed } = stream
  const text = `${last} ${bytes} ${createdAtMs} ${lastAtMs}`
  return closed === undefined ? text : `${text} ${closed.atMs} ${closed.reason}`
}

export function summaryBytes({ version, updatedAtMs, document }: StoredSummary): Uint8Array {
  return Buffer.concat([Buffer.from(`${version} ${updatedAtMs}\n`), document])
}

const nameOf = (id: string, attempt: number): string => `${id}:${attempt}`

/** Execution id → attempt → its stream. Frames and documents handed out must not be changed. */
export class Streams {
  private readonly byId = new Map<string, Map<number, StoredStream>>()
  private readonly changes: ChangeLog

  constructor(changes: ChangeLog) {
    this.changes = changes
  }

  get(id: string, attempt: number): StoredStream | undefined {
    return this.byId.get(id)?.get(attempt)
  }

  *entries(): Generator<readonly [id: string, attempt: number, stream: StoredStream]> {
    for (const [id, streams] of this.byId) {
      for (const [attempt, stream] of streams) yield [id, attempt, stream]
    }
  }

  /** Appends a frame under the next number; the stream is made when it is missing. */
  append(id: string, attempt: number, frame: Omit<NewFrame, 'number'>): number {
    const stream = this.get(id, attempt) ?? this.make(id, attempt, frame.atMs)
    stream.last += 1
    stream.bytes += frame.payload.byteLength
    stream.lastAtMs = frame.atMs
    this.noteState(id, attempt)
    const packed = packFrame({ ...frame, number: stream.last })
    if (frame.mode === 'durable') {
      stream.durable.push(packed)
      this.noteFrame(id, attempt, stream.last)
      this.trimDurable(id, attempt, stream.durable)
    } else {
      stream.live.push(packed)
      const { liveFramesMax, liveFramesSlack } = counts
      if (stream.live.length > liveFramesMax + liveFramesSlack) stream.live.trim(liveFramesMax)
    }
    return stream.last
  }

  setSummary(id: string, attempt: number, summary: StoredSummary): void {
    const stream = this.get(id, attempt)
    if (stream === undefined) return
    stream.summary = summary
    this.changes.note('summary:', nameOf(id, attempt))
  }

  close(id: string, attempt: number, reason: string, nowMs: number): void {
    const stream = this.get(id, attempt)
    if (stream === undefined) return
    stream.closed = { atMs: nowMs, reason }
    // Readers who are a moment behind still have to see the newest.
    stream.live.trim(counts.liveFramesAfterEnd)
    this.noteState(id, attempt)
  }

  /** Removes all that the execution's streams ever stored. */
  remove(id: string): void {
    for (const [attempt, stream] of this.byId.get(id) ?? []) {
      this.noteState(id, attempt)
      for (const { number } of stream.durable.all()) this.noteFrame(id, attempt, number)
      if (stream.summary !== undefined) this.changes.note('summary:', nameOf(id, attempt))
    }
    this.byId.delete(id)
  }

  /** The record under that kind and name as it is now; undefined when it is gone. */
  record(kind: 'streams:' | 'frames:' | 'summary:', name: string): Uint8Array | string | undefined {
    const [id = '', attempt, number] = name.split(':')
    const stream = this.get(id, Number(attempt))
    if (stream === undefined) return undefined
    if (kind === 'streams:') return stateText(stream)
    if (kind === 'summary:') return stream.summary && summaryBytes(stream.summary)
    const found = stream.durable.at(stream.durable.seek(Number(number)))
    return found?.number === Number(number) ? found.packed : undefined
  }

  /** Puts back a stream that a directory kept. Its frames come in order. */
  load(name: string, state: string, frames: readonly PackedFrame[], summary?: Uint8Array): void {
    const [id = '', attempt] = name.split(':')
    const match = statePattern.exec(state)
    if (match === null) throw new Error('has another form')
    const [last = 0, bytes = 0, createdAtMs = 0, lastAtMs = 0, closedAtMs = 0] = match
      .slice(1, 6)
      .map(Number)
    const reason = match[6]
    const stream = this.make(id, Number(attempt), createdAtMs)
    stream.last = last
    stream.bytes = bytes
    stream.lastAtMs = lastAtMs
    stream.closed = reason === undefined ? undefined : { atMs: closedAtMs, reason }
    for (const frame of frames) stream.durable.push(frame)
    stream.summary = summary === undefined ? undefined : parseSummary(summary)
  }

  /** Takes over the streams of another keyspace, sharing nothing that changes. */
  copyFrom(other: Streams): void {
    for (const [id, attempt, from] of other.entries()) {
      const to = this.make(id, attempt, from.createdAtMs)
      const { last, bytes, lastAtMs, closed, summary } = from
      Object.assign(to, { last, bytes, lastAtMs, closed, summary })
      for (const frame of from.durable.all()) to.durable.push(frame)
      for (const frame of from.live.all()) to.live.push(frame)
    }
  }

  private make(id: string, attempt: number, createdAtMs: number): StoredStream {
    const streams = this.byId.get(id) ?? new Map<number, StoredStream>()
    this.byId.set(id, streams)
    const stream: StoredStream = {
      last: 0,
      bytes: 0,
      createdAtMs,
      lastAtMs: createdAtMs,
      closed: undefined,
      durable: new FrameList(),
      live: new FrameList(),
      summary: undefined,
    }
    streams.set(attempt, stream)
    return stream
  }

  private trimDurable(id: string, attempt: number, frames: FrameList): void {
    const { durableFramesMax, durableFramesSlack } = counts
    if (frames.length <= durableFramesMax + durableFramesSlack) return
    for (const { number } of frames.trim(durableFramesMax)) this.noteFrame(id, attempt, number)
  }

  private noteState(id: string, attempt: number): void {
    this.changes.note('streams:', nameOf(id, attempt))
  }

  private noteFrame(id: string, attempt: number, number: number): void {
    this.changes.note('frames:', `${nameOf(id, attempt)}:${number}`)
  }
}

function parseSummary(bytes: Uint8Array): StoredSummary {
  const text = Buffer.from(bytes)
  const end = text.indexOf(10)
  const match = /^(\d+) (\d+)$/.exec(text.subarray(0, Math.max(0, end)).toString('latin1'))
  if (match === null) throw new Error('has another form')
  return {
    version: Number(match[1]),
    updatedAtMs: Number(match[2]),
    document: text.subarray(end + 1),
  }
}
