// Attempt streams: appending frames, the rolling document, reading and waiting for more.
import { bounds, bytesMax } from '../../../limits.ts'
import type { Answer, Arguments, Refusal } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { checkFence, type Fence } from '../fence.ts'
import type { FrameList, NewFrame, PackedFrame } from '../frame-list.ts'
import type { StoredExecution } from '../record.ts'
import { isOver } from '../stream.ts'
import type { StoredStream } from '../streams.ts'

interface Opened {
  readonly stored: StoredExecution
  /** Number of the newest frame. */
  readonly last: number
  /** True when the frame's number is taken: it was appended before. */
  readonly replayed: boolean
}

/** What the holder of the lease may append to, or why it may not. */
function open(
  call: CallContext,
  args: Fence & { readonly seq: number | undefined },
): Opened | Refusal {
  const checked = checkFence(call, args)
  if ('refusal' in checked) return checked.refusal
  const { stored } = checked.x
  const last = call.keyspace.streams.get(args.id, args.attempt)?.last ?? 0
  if (args.seq !== undefined && args.seq > last + 1) {
    return refuse('frame_gap', { last: String(last) })
  }
  return { stored, last, replayed: args.seq !== undefined && args.seq <= last }
}

/** Appends, and calls those who tail. */
function appendFrame(
  { keyspace, wake, nowMs }: CallContext,
  stored: StoredExecution,
  attempt: number,
  frame: Omit<NewFrame, 'number' | 'atMs'>,
): void {
  const { id, fields } = stored
  keyspace.streams.append(id, attempt, { ...frame, atMs: nowMs })
  if (fields.tailed !== undefined) wake.tails(id, fields.tailed, nowMs)
  if (fields.streamed === 1 && fields.tailed === undefined) return
  keyspace.storeFields(stored, { ...fields, streamed: 1, tailed: undefined })
}

export function append(
  call: CallContext,
  args: Arguments<'stream.append'>,
): Answer<'stream.append'> {
  const opened = open(call, args)
  if ('outcome' in opened) return opened
  const { stored, last, replayed } = opened
  if (replayed) {
    return { outcome: 'appended', number: args.seq ?? last, count: last, replayed: true }
  }
  const { mode, encoding, type, correlation, payload } = args
  const frame = { mode, encoding, type, correlation, payload, version: undefined }
  appendFrame(call, stored, args.attempt, frame)
  return { outcome: 'appended', number: last + 1, count: last + 1, replayed: false }
}

export function summarize(
  call: CallContext,
  args: Arguments<'stream.summarize'>,
): Answer<'stream.summarize'> {
  const opened = open(call, args)
  if ('outcome' in opened) return opened
  const { id, attempt, type, correlation, payload, seq } = args
  const { stored, last, replayed } = opened
  const { streams } = call.keyspace
  const known = streams.get(id, attempt)?.summary
  const version = known?.version ?? 0
  if (replayed) {
    return { outcome: 'summarized', number: seq ?? last, count: last, version, replayed: true }
  }
  if (args.base !== version) {
    return { outcome: 'conflict', version, document: known && Buffer.from(known.document) }
  }
  const next = version + 1
  const frame = { mode: 'summary', encoding: 'json', type, correlation, payload, version: next }
  appendFrame(call, stored, attempt, frame)
  const document = Buffer.from(args.document)
  streams.setSummary(id, attempt, { version: next, updatedAtMs: call.nowMs, document })
  const count = last + 1
  return { outcome: 'summarized', number: count, count, version: next, replayed: false }
}

/** The frame that comes first in either list from its position on, unless it is after `to`. */
function nearer(
  [durable, live]: readonly [FrameList, FrameList],
  [a, b]: readonly [number, number],
  to: number,
): { readonly frame: PackedFrame; readonly isLive: boolean } | undefined {
  const [one, other] = [durable.at(a), live.at(b)]
  const isLive = one === undefined || (other !== undefined && other.number < one.number)
  const frame = isLive ? other : one
  return frame === undefined || frame.number > to ? undefined : { frame, isLive }
}

function readFrames({ durable, live }: StoredStream, from: number, to: number, count: number) {
  const lists = [durable, live] as const
  const positions: [number, number] = [durable.seek(from), live.seek(from)]
  const frames: Uint8Array[] = []
  let bytes = 0
  let seen = 0
  let next = nearer(lists, positions, to)
  while (next !== undefined && frames.length < count && bytes < bytesMax.page) {
    const { frame, isLive } = next
    // A copy: what a reader does to it must not reach the next one.
    frames.push(Buffer.from(frame.packed))
    bytes += frame.packed.byteLength
    seen = frame.number
    positions[isLive ? 1 : 0] += 1
    next = nearer(lists, positions, to)
  }
  return { frames, more: next !== undefined, seen }
}

type Page = Extract<Answer<'stream.read'>, { outcome: 'found' }>

function page(
  { keyspace }: CallContext,
  { id, fields }: StoredExecution,
  range: { readonly attempt: number; readonly from: number; readonly to: number },
  count: number,
): Page {
  const { attempt, from, to } = range
  const over = isOver(fields, attempt)
  const stream = keyspace.streams.get(id, attempt)
  if (stream === undefined) {
    const nothing = { frames: [], more: false, count: 0, closed: undefined, first: undefined }
    return { outcome: 'found', ...nothing, next: from - 1, over }
  }
  const { frames, more, seen } = readFrames(stream, from, to, count)
  const firsts = [stream.durable.first, stream.live.first].filter((first) => first !== undefined)
  return {
    outcome: 'found',
    frames,
    // Numbers without a kept frame need not be asked for again.
    next: more ? seen : Math.max(from - 1, Math.min(to, stream.last)),
    more,
    count: stream.last,
    over,
    closed: stream.closed?.reason,
    first: firsts.length === 0 ? undefined : Math.min(...firsts),
  }
}

const lastNumber = bounds.frame_number.max

export function read(call: CallContext, args: Arguments<'stream.read'>): Answer<'stream.read'> {
  const stored = call.keyspace.executions.get(args.id)
  if (stored === undefined) return refuse('execution_not_found')
  const { attempt, from, to = lastNumber } = args
  return page(call, stored, { attempt, from, to }, args.count)
}

/** Asking to be called is not a change of the execution: its time of change stays. */
export function tail(call: CallContext, args: Arguments<'stream.tail'>): Answer<'stream.tail'> {
  const stored = call.keyspace.executions.get(args.id)
  if (stored === undefined) return refuse('execution_not_found')
  const range = { attempt: args.attempt, from: args.after + 1, to: lastNumber }
  const found = page(call, stored, range, args.count)
  if (args.wait_ms > 0 && found.frames.length === 0 && !found.over) {
    const { fields } = stored
    const untilMs = call.nowMs + args.wait_ms
    if (untilMs > (fields.tailed ?? 0)) {
      call.keyspace.storeFields(stored, { ...fields, tailed: untilMs })
    }
  }
  return found
}

export function readSummary(
  { keyspace }: CallContext,
  { id, attempt }: Arguments<'stream.summary'>,
): Answer<'stream.summary'> {
  if (!keyspace.executions.has(id)) return refuse('execution_not_found')
  const found = keyspace.streams.get(id, attempt)?.summary
  if (found === undefined) return { outcome: 'absent' }
  const { version, updatedAtMs, document } = found
  return { outcome: 'found', version, updated_at: updatedAtMs, document: Buffer.from(document) }
}
