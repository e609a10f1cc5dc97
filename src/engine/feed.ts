// Follows the feed over all partitions: reads, waits for notices, and survives faults on the way.
import { pause } from '../actors/pause.ts'
import { EngineError, isEngineError } from '../errors.ts'
import type { EngineBackend } from '../persistence/backend.ts'
import type { EventPage, FeedEvent } from '../persistence/feed-backend.ts'
import { setTimer } from '../time.ts'

export interface EventOptions {
  /**
   * Where to begin: with the oldest event that is kept, with the next one that happens, or after
   * an event by its cursor. @defaultValue 'now'
   */
  readonly from?: 'start' | 'now' | (string & {})
  /** Ends the iteration. */
  readonly signal?: AbortSignal
}

/** Told in place of events that were dropped before they were read. */
export interface EventGap {
  readonly event: 'gap'
  readonly executionId?: undefined
  readonly flowId?: undefined
  readonly partition: number
  /** Beginning here again tells of the gap again. */
  readonly cursor: string
}

/** What `engine.events` iterates over; `event` tells them apart. */
export type FeedItem = FeedEvent | EventGap

type FeedSource = Pick<EngineBackend, 'partitions' | 'readEvents' | 'followEvents' | 'onEvents'>

const pageCount = 500
const beginning = '0.0'
const cursorVersion = 'e1'
const retryMs = 500

/** Should a notice ever be lost without a gap being told, what it told of is still found. */
const rereadMs = 30_000

/** A cursor over all partitions is the cursors of each, one after the other. */
function formatCursor(places: readonly string[]): string {
  return [cursorVersion, ...places].join('~')
}

function parseCursor(cursor: unknown, partitionCount: number): string[] {
  const [version, ...places] = typeof cursor === 'string' ? cursor.split('~') : []
  const fits =
    version === cursorVersion &&
    places.length === partitionCount &&
    places.every((place) => /^\d{1,15}\.\d{1,6}$/.test(place))
  if (fits) return places
  throw new EngineError(
    'invalid_input',
    'from is neither start, now, nor a cursor of this engine',
    {
      details: { argument: 'from', given: String(cursor) },
    },
  )
}

function ignore(): void {}

/** Which partitions are worth a look, and a way to wait until one is. */
class Outlook {
  readonly due: Set<number>
  private readonly partitions: readonly number[]
  private wake: () => void = ignore

  constructor(partitions: readonly number[]) {
    this.partitions = partitions
    this.due = new Set(partitions)
  }

  readonly hear = (partition: number | undefined): void => {
    for (const one of partition === undefined ? this.partitions : [partition]) this.due.add(one)
    this.wake()
  }

  /** Returns as soon as there is something to look at; whoever fires the signal says so too. */
  wait(signal: AbortSignal): Promise<void> {
    if (this.due.size > 0 || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimer(() => this.hear(undefined), rereadMs)
      timer.unref()
      this.wake = () => {
        timer.clear()
        this.wake = ignore
        resolve()
      }
    })
  }
}

/** Tries until it works, unless it is not worth it or nobody waits any more. */
async function persist<Value>(
  attempt: () => Promise<Value>,
  signal: AbortSignal,
): Promise<Value | undefined> {
  while (!signal.aborted) {
    try {
      return await attempt()
    } catch (error) {
      if (isEngineError(error, 'engine_closed')) return undefined
      if (!isEngineError(error) || !error.retryable) throw error
      await pause(retryMs, signal)
    }
  }
  return undefined
}

/** Where each partition's feed ends now. */
async function ends(source: FeedSource, signal: AbortSignal): Promise<string[] | undefined> {
  const pages = await Promise.all(
    source.partitions.map((partition) =>
      persist(() => source.readEvents(partition, undefined, 1), signal),
    ),
  )
  const known = pages.flatMap((page) => (page === undefined ? [] : [page.cursor]))
  return known.length === pages.length ? known : undefined
}

/** Where to begin in each partition. What is now is decided at once, not at the first event. */
function begin(
  source: FeedSource,
  from: EventOptions['from'],
  signal: AbortSignal,
): Promise<string[] | undefined> {
  if (from === 'start') return Promise.resolve(source.partitions.map(() => beginning))
  if (from !== undefined && from !== 'now') {
    return Promise.resolve(parseCursor(from, source.partitions.length))
  }
  const places = ends(source, signal)
  // Whoever iterates hears of it.
  places.catch(() => undefined)
  return places
}

/** Events of one engine, in the order in which each partition tells them. */
class Follower {
  private readonly source: FeedSource
  private readonly signal: AbortSignal
  private readonly places: string[]
  private readonly outlook: Outlook
  /** Partitions whose beginning was asked for: that older events are gone is no surprise there. */
  private readonly fromStart: Set<number>

  constructor(source: FeedSource, places: string[], isStart: boolean, signal: AbortSignal) {
    this.source = source
    this.signal = signal
    this.places = places
    this.outlook = new Outlook(source.partitions)
    this.fromStart = new Set(isStart ? source.partitions : [])
  }

  async *items(): AsyncGenerator<FeedItem, undefined> {
    const { signal, source, outlook } = this
    const stop = () => outlook.hear(undefined)
    signal.addEventListener('abort', stop)
    const unsubscribe = await persist(() => source.onEvents(outlook.hear), signal)
    try {
      while (unsubscribe !== undefined && !signal.aborted) {
        const due = [...outlook.due]
        outlook.due.clear()
        const pages = await Promise.all(due.map((partition) => this.read(partition)))
        for (const [at, page] of pages.entries()) {
          if (page === undefined) return
          yield* this.tell(due[at] as number, page)
        }
        await outlook.wait(signal)
      }
    } finally {
      signal.removeEventListener('abort', stop)
      unsubscribe?.()
    }
  }

  private read(partition: number): Promise<EventPage | undefined> {
    const place = this.places[partition] as string
    return persist(() => this.source.followEvents(partition, place, pageCount), this.signal)
  }

  private *tell(partition: number, page: EventPage): Generator<FeedItem> {
    if (page.missed && !this.fromStart.has(partition)) {
      yield { event: 'gap', partition, cursor: formatCursor(this.places) }
    }
    this.fromStart.delete(partition)
    for (const event of page.events) {
      this.places[partition] = event.cursor
      yield { ...event, cursor: formatCursor(this.places) }
      if (this.signal.aborted) return
    }
    this.places[partition] = page.cursor
    // Only an empty page has asked to be told of the next event.
    if (page.events.length > 0 || page.more) this.outlook.due.add(partition)
  }
}

/** See `Engine.events`. The iteration ends when `closing` or the caller's own signal fires. */
export function followFeed(
  source: FeedSource,
  options: EventOptions,
  closing: AbortSignal,
): AsyncIterableIterator<FeedItem> {
  const left = new AbortController()
  const signal = AbortSignal.any([
    closing,
    left.signal,
    ...(options.signal === undefined ? [] : [options.signal]),
  ])
  const places = begin(source, options.from, signal)
  const items = (async function* follow() {
    const known = await places
    if (known === undefined || signal.aborted) return undefined
    return yield* new Follower(source, known, options.from === 'start', signal).items()
  })()
  return {
    next: () => items.next(),
    // Also ends a wait that is under way, behind which the generator would line this up.
    return: () => {
      left.abort()
      return items.return(undefined)
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
