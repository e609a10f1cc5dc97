// The stored feed: the end that grows, sealed segments before it, and what was dropped.
import { counts } from '../../limits.ts'
import type { ChangeLog } from './record-map.ts'

/** A sealed part of the feed. */
export interface Segment {
  readonly base: number
  readonly bytes: Buffer
  /** The time of its last event. */
  readonly lastMs: number
}

/** What stands from a place on. */
export interface FeedRead {
  readonly from: number
  readonly text: Buffer
  readonly missed: boolean
  readonly more: boolean
}

/** How much of the feed is kept. */
export interface FeedRoom {
  readonly bytes: number
  readonly ms: number
}

const nothing = Buffer.alloc(0)
const lineBreak = Buffer.from('\n')

/** The time of the last line; a line break may stand behind it. */
function lastTime(bytes: Buffer): number {
  const found = /.*\n(\d+)/s.exec(bytes.toString('latin1'))
  return Number(found?.[1])
}

/**
 * One partition's feed. In a directory each line of the end is a record of its own until the end is
 * sealed: rewriting the whole end with every line would cost too much.
 */
export class FeedLog {
  readonly segments = new Map<number, Segment>()
  /** The lines of the end by their places. */
  readonly lines = new Map<number, Buffer>()
  /** Where the end begins. */
  base = 0
  /** Whether the next event has to be announced; worth nothing after a restart. */
  followed = false
  private length = 0
  private readonly changes: ChangeLog

  constructor(changes: ChangeLog) {
    this.changes = changes
  }

  /** The end as one string, with the mark of whoever follows. */
  end(): Buffer {
    return Buffer.concat([...this.lines.values(), this.followed ? lineBreak : nothing])
  }

  /** Puts back a line or a segment that was stored. */
  restore(kind: 'line' | 'segment', base: number, bytes: Buffer): void {
    if (kind === 'segment') this.segments.set(base, { base, bytes, lastMs: lastTime(bytes) })
    else {
      this.lines.set(base, bytes)
      this.length += bytes.byteLength
    }
  }

  /** Appends a line. Returns whether somebody waits for it. */
  append(line: Buffer, room: FeedRoom): boolean {
    const wasFollowed = this.followed
    const place = this.base + this.length
    // The mark of whoever follows stays in front, and a second one makes the length even again.
    const bytes = wasFollowed ? Buffer.concat([lineBreak, line, lineBreak]) : line
    this.followed = false
    this.lines.set(place, bytes)
    this.length += bytes.byteLength
    this.changes.note('line:', String(place))
    if (this.length >= counts.feedSegmentBytes) this.seal(room)
    return wasFollowed
  }

  /** Drops events whose time is over. */
  trim(nowMs: number, room: FeedRoom): void {
    const first = this.lines.values().next().value
    const firstMs = Number(/\d+/.exec(first?.toString('latin1', 0, 21) ?? '')?.[0])
    if (firstMs <= nowMs - counts.feedTailMs) this.seal(room)
    this.dropWhile(({ lastMs }) => lastMs <= nowMs - room.ms)
  }

  read(place: number | undefined): FeedRead {
    const last = this.base + this.length
    if (place === undefined) return { from: last, text: nothing, missed: false, more: false }
    const first = this.oldest()?.base ?? this.base
    let missed = place < first || place > last
    let from = missed ? first : place
    let text = this.textFrom(from)
    if (text.byteLength > 0 && text[0] !== lineBreak[0]) {
      missed = true
      from = first
      text = this.textFrom(from)
    }
    return { from, text, missed, more: from + text.byteLength < last }
  }

  private textFrom(place: number): Buffer {
    if (place >= this.base) {
      return Buffer.concat([...this.lines.values()]).subarray(place - this.base)
    }
    let found: Segment | undefined
    for (const segment of this.segments.values()) {
      if (segment.base > place) break
      found = segment
    }
    return Buffer.from(found?.bytes.subarray(place - found.base) ?? nothing)
  }

  private oldest(): Segment | undefined {
    return this.segments.values().next().value
  }

  /** Makes a segment of the end, and drops the oldest ones for which there is no room any more. */
  private seal(room: FeedRoom): void {
    const bytes = Buffer.concat([...this.lines.values()])
    const { base } = this
    this.segments.set(base, { base, bytes, lastMs: lastTime(bytes) })
    this.changes.note('segment:', String(base))
    for (const place of this.lines.keys()) this.changes.note('line:', String(place))
    this.lines.clear()
    this.length = 0
    this.base = base + bytes.byteLength
    this.changes.note('feed', '')
    this.dropWhile((segment) => this.base - segment.base > room.bytes)
  }

  private dropWhile(isOver: (segment: Segment) => boolean): void {
    for (let dropped = 0; dropped < counts.feedDropsMax; dropped++) {
      const segment = this.oldest()
      if (segment === undefined || !isOver(segment)) return
      this.segments.delete(segment.base)
      this.changes.note('segment:', String(segment.base))
    }
  }
}
