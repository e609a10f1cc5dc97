// Gathers the events of one batch as one line of the feed; the twin of lua/lib/feed.lua.
import { defaults } from '../../limits.ts'
import type { ExecutionEventName } from '../../machines/execution.ts'
import { type EventSource, eventSources, sourceMark } from '../../machines/sources.ts'
import type { ExecutionFields, FieldName } from './execution-fields.ts'
import type { FeedRead, FeedRoom } from './feed-log.ts'
import type { Keyspace } from './keyspace.ts'

/** What the feed tells of an execution. */
interface Told {
  readonly id: string
  readonly fields: Readonly<ExecutionFields>
}

/** The field whose word says more about an event; else it is why the execution ended. */
const detailOf: Readonly<Partial<Record<ExecutionEventName, FieldName>>> = {
  block: 'block_reason',
  claim: 'attempt_type',
  fail: 'class',
  reprioritize: 'priority',
  withhold: 'withheld',
}

const text = (value: string | number | undefined): string => String(value ?? '')

export class Feed {
  private readonly keyspace: Keyspace
  private readonly nowMs: number
  private readonly announce: () => void
  private words: string[] | undefined

  /** `announce` is called when something was written that somebody waits for. */
  constructor(keyspace: Keyspace, nowMs: number, announce: () => void) {
    this.keyspace = keyspace
    this.nowMs = nowMs
    this.announce = announce
  }

  /** Tells an event that is no move of the lifecycle. */
  add(told: Told, event: string, detail: string | undefined, by: EventSource): void {
    const leaf = event === 'purge' ? 'absent' : told.fields.state
    this.put(told, event, leaf, detail, sourceMark + by)
  }

  /** Tells a move that was just committed; `by` where it was not who usually makes it. */
  moved(told: Told, event: ExecutionEventName, by?: EventSource): void {
    const source = eventSources[event]
    if (source === undefined) return
    const { fields } = told
    const isWorker = by === undefined && source === 'worker'
    const who = isWorker ? text(fields.worker) : sourceMark + (by ?? source)
    this.put(told, event, fields.state, text(fields[detailOf[event] ?? 'reason']), who)
  }

  /** Tells what became of a flow. */
  flow(id: string, event: string, state: string, detail: string | undefined): void {
    this.words ??= [`\n${this.nowMs}`]
    this.words.push(id, event, `flow.${state}`, '', '', `${sourceMark}flow`, text(detail))
  }

  /** Writes what was gathered, as one line. */
  flush(): void {
    const { words } = this
    if (words === undefined) return
    this.words = undefined
    const line = words.join(' ')
    const isOdd = Buffer.byteLength(line) % 2 === 1
    const bytes = Buffer.from(isOdd ? `${line}\n` : line)
    if (this.keyspace.feed.append(bytes, this.room())) this.announce()
  }

  read(place: number | undefined): FeedRead {
    this.flush()
    return this.keyspace.feed.read(place)
  }

  trim(): void {
    this.flush()
    this.keyspace.feed.trim(this.nowMs, this.room())
  }

  private put(
    { id, fields }: Told,
    event: string,
    leaf: string,
    detail: string | undefined,
    by: string,
  ): void {
    this.words ??= [`\n${this.nowMs}`]
    this.words.push(id, event, leaf, text(fields.attempt), text(fields.epoch), by, text(detail))
  }

  private room(): FeedRoom {
    const { config } = this.keyspace
    return {
      bytes: Number(config.get('feed_bytes') ?? defaults.feedBytes),
      ms: Number(config.get('feed_ms') ?? defaults.feedMs),
    }
  }
}
