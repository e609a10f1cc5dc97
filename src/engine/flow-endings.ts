// Waits for the endings of flows: reads along in the feed of their partitions while somebody waits.
import { EngineError } from '../errors.ts'
import { parseExecutionId } from '../ids.ts'
import type { EngineBackend, FlowId, FlowSnapshot } from '../persistence/backend.ts'
import type { EventPage } from '../persistence/feed-backend.ts'
import { Subscription } from './subscription.ts'
import { Waiters } from './waiters.ts'

type FlowEndingsBackend = Pick<
  EngineBackend,
  'describeFlow' | 'readEvents' | 'followEvents' | 'onEvents'
>

const pageCount = 500

/** One partition whose feed is read. */
interface Reader {
  /** Where to go on; known once the first look has been answered. */
  cursor: string | undefined
  isReading: boolean
  /** Whether something was told since the last look began. */
  isDue: boolean
}

export class FlowEndings {
  private readonly backend: FlowEndingsBackend
  private readonly waiters = new Waiters<FlowSnapshot>('flow')
  private readonly readers = new Map<number, Reader>()
  private readonly notices: Subscription<number>

  constructor(backend: FlowEndingsBackend) {
    this.backend = backend
    this.notices = new Subscription(
      (hear) => backend.onEvents(hear),
      (told) => this.hear(told),
    )
  }

  /** What the flow came to; rejects with `result_timeout` after `timeoutMs`. */
  async of(id: FlowId, timeoutMs: number | undefined): Promise<FlowSnapshot> {
    const { partition } = parseExecutionId(id)
    this.waiters.checkOpen()
    await this.notices.begin()
    this.waiters.checkOpen()
    this.notices.keepLooking()
    const ending = this.waiters.add(id, timeoutMs)
    this.begin(partition, id)
    return ending
  }

  async close(): Promise<void> {
    this.waiters.close()
    await this.notices.end()
  }

  /** First where the feed ends now, then whether the flow has ended: what ends later is told. */
  private begin(partition: number, id: FlowId): void {
    const reader = this.readers.get(partition) ?? {
      cursor: undefined,
      isReading: false,
      isDue: false,
    }
    this.readers.set(partition, reader)
    const known =
      reader.cursor === undefined
        ? this.backend.readEvents(partition, undefined, 1).then(({ cursor }) => {
            reader.cursor ??= cursor
          })
        : Promise.resolve()
    known.then(
      () => {
        this.describe(id)
        this.look(partition)
      },
      (error) => this.waiters.reject(id, error),
    )
  }

  private hear(partition: number | undefined): void {
    if (partition !== undefined) {
      this.look(partition)
      return
    }
    for (const id of this.waiters.ids) this.describe(id)
    for (const one of [...this.readers.keys()]) this.look(one)
  }

  private look(partition: number): void {
    const reader = this.readers.get(partition)
    if (reader?.cursor === undefined) return
    reader.isDue = true
    if (reader.isReading) return
    reader.isReading = true
    this.read(partition, reader).catch((error) => {
      for (const id of this.waiting(partition)) this.waiters.reject(id, error)
    })
  }

  /** Reads until nothing is new: then the next event will be told. */
  private async read(partition: number, reader: Reader): Promise<void> {
    try {
      while (reader.isDue && this.waiting(partition).length > 0) {
        reader.isDue = false
        const cursor = reader.cursor as string
        const page = await this.backend.followEvents(partition, cursor, pageCount)
        reader.cursor = page.cursor
        if (page.events.length > 0 || page.more) reader.isDue = true
        this.tell(partition, page)
      }
      if (this.waiting(partition).length === 0) this.readers.delete(partition)
    } finally {
      reader.isReading = false
    }
  }

  private tell(partition: number, { events, missed }: EventPage): void {
    const ended = events.flatMap(({ event, flowId }) => (event === 'endFlow' ? [flowId] : []))
    for (const id of missed ? this.waiting(partition) : ended) {
      if (this.waiters.has(id)) this.describe(id)
    }
  }

  private waiting(partition: number): readonly FlowId[] {
    return this.waiters.ids.filter((id) => parseExecutionId(id).partition === partition)
  }

  private describe(id: FlowId): void {
    this.backend.describeFlow(id).then(
      (flow) => {
        if (flow === undefined) this.waiters.reject(id, missing(id))
        else if (flow.state !== 'open') this.waiters.resolve(id, flow)
      },
      (error) => this.waiters.reject(id, error),
    )
  }
}

function missing(id: FlowId): EngineError {
  return new EngineError('flow_not_found', `there is no flow ${id}`, { details: { flowId: id } })
}
