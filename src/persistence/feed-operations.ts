// The feed over any store: reads its lines back as events, and counts cursors on.
import { EngineError } from '../errors.ts'
import { formatExecutionId } from '../ids.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import { type EventSource, sourceMark } from '../machines/sources.ts'
import { leafOf } from '../machines/table.ts'
import { accepted } from './answers.ts'
import { anyCount, checkWhole } from './arguments.ts'
import type { Answer } from './contract.ts'
import type { EventPage, FeedBackend, FeedEvent, FeedEventName, FlowEvent } from './feed-backend.ts'
import { readFlowState } from './flow-reading.ts'
import type { Store } from './store.ts'

/** A line of the feed, and the events of it that were read before. */
interface Place {
  readonly place: number
  readonly index: number
}

type Found = Extract<Answer<'partition.events'>, { outcome: 'events' }>

/** Words of one event in a line; see lua/lib/feed.lua. */
const wordsPerEvent = 7
const lineBreak = 10
/** Stands before the state of a flow, where other events tell a leaf of the lifecycle. */
const flowMark = 'flow.'

function parseCursor(cursor: string): Place {
  const match = typeof cursor === 'string' ? /^(\d{1,15})\.(\d{1,6})$/.exec(cursor) : null
  if (match === null) {
    throw new EngineError('invalid_input', 'cursor is not a cursor of the feed', {
      details: { argument: 'cursor' },
    })
  }
  return { place: Number(match[1]), index: Number(match[2]) }
}

const formatCursor = ({ place, index }: Place): string => `${place}.${index}`

const numberOf = (word: string | undefined) =>
  word === undefined || word === '' ? undefined : Number(word)

function readEvent(
  partition: number,
  atMs: number,
  words: readonly string[],
  after: Place,
): FeedEvent {
  const [local = '', event, state = '', attempt, epoch, by = '', detail] = words
  if (state.startsWith(flowMark)) return readFlowEvent(partition, atMs, words, after)
  const isWorker = !by.startsWith(sourceMark)
  return {
    cursor: formatCursor(after),
    executionId: formatExecutionId(partition, local),
    event: event as FeedEventName,
    state: state as LeafName,
    publicState: leafOf(state)?.public ?? 'absent',
    atMs,
    attempt: numberOf(attempt),
    epoch: numberOf(epoch),
    by: isWorker ? 'worker' : (by.slice(sourceMark.length) as EventSource),
    worker: isWorker ? by : undefined,
    detail: detail === '' ? undefined : detail,
  }
}

function readFlowEvent(
  partition: number,
  atMs: number,
  words: readonly string[],
  after: Place,
): FlowEvent {
  const [local = '', event, stored = '', , , , detail] = words
  const state = readFlowState('feed', stored.slice(flowMark.length))
  return {
    cursor: formatCursor(after),
    flowId: formatExecutionId(partition, local),
    event: event as FlowEvent['event'],
    state,
    publicState: state,
    atMs,
    by: 'flow',
    detail: detail === '' ? undefined : detail,
  }
}

/** The events of a line that begins at a place, each with where to go on after it. */
function readLine(partition: number, line: string, place: number, end: number): FeedEvent[] {
  const [time, ...words] = line.split(' ')
  const events: FeedEvent[] = []
  for (let at = 0; at + wordsPerEvent <= words.length; at += wordsPerEvent) {
    const isLast = at + wordsPerEvent === words.length
    const after = isLast ? { place: end, index: 0 } : { place, index: events.length + 1 }
    events.push(readEvent(partition, Number(time), words.slice(at, at + wordsPerEvent), after))
  }
  return events
}

function readPage(partition: number, found: Found, asked: Place, count: number): EventPage {
  const { from, missed } = found
  const text = Buffer.from(found.text.buffer, found.text.byteOffset, found.text.byteLength)
  const events: FeedEvent[] = []
  let isCut = false
  for (let at = 0; at < text.length && !isCut; ) {
    const next = text.indexOf(lineBreak, at + 1)
    const end = next < 0 ? text.length : next
    const told = readLine(partition, text.toString('utf8', at + 1, end), from + at, from + end)
    const skipped = at === 0 && !missed ? asked.index : 0
    const room = count - events.length
    isCut = told.length - skipped > room
    events.push(...told.slice(skipped, skipped + room))
    at = end
  }
  const last = events.at(-1)?.cursor ?? formatCursor({ place: from, index: 0 })
  const cursor = isCut ? last : formatCursor({ place: from + text.length, index: 0 })
  return { events, cursor, missed, more: isCut || found.more }
}

/** The feed's part of a backend. */
export function feedOperations(store: Store): FeedBackend {
  const checkPartition = (partition: number) =>
    checkWhole('partition', partition, { min: 0, max: store.partitionCount - 1 })
  return {
    async readEvents(partition, cursor, count) {
      checkPartition(partition)
      checkWhole('count', count, { ...anyCount, min: 1 })
      const asked = cursor === undefined ? undefined : parseCursor(cursor)
      const args = { place: asked?.place }
      const found = accepted(
        'partition.events',
        await store.call(partition, 'partition.events', args),
      )
      return readPage(partition, found, asked ?? { place: found.from, index: 0 }, count)
    },
    async followEvents(partition, cursor, count) {
      checkPartition(partition)
      checkWhole('count', count, { ...anyCount, min: 1 })
      const asked = parseCursor(cursor)
      const args = { place: asked.place }
      const found = accepted(
        'partition.follow',
        await store.call(partition, 'partition.follow', args),
      )
      return readPage(partition, found, asked, count)
    },
    onEvents: (listener) =>
      store.listen((notice) => {
        if (notice.notice === 'events') listener(notice.partition)
        else if (notice.notice === 'gap') listener(undefined)
      }),
    async keepEvents({ bytes, ms }) {
      const partitions = Array.from({ length: store.partitionCount }, (_, partition) => partition)
      await Promise.all(
        partitions.map(async (partition) =>
          accepted(
            'partition.keep_events',
            await store.call(partition, 'partition.keep_events', { bytes, ms }),
          ),
        ),
      )
    },
  }
}
