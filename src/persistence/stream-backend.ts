// The backend's operations on attempt streams, over any store.
import { EngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import { bounds, bytesMax } from '../limits.ts'
import type { Accepted } from './answers.ts'
import { checkMode, checkWhole } from './arguments.ts'
import type { EngineBackend, Handle } from './backend.ts'
import type { Arguments } from './contract.ts'
import { corruptKey } from './corruption.ts'
import {
  type AppendFrameOutcome,
  type Frame,
  type FramePage,
  type FrameRange,
  readFrame,
  type StreamSummary,
  type TailRequest,
} from './frames.ts'
import { parseHandle } from './handle.ts'
import { mergePatch, readPatch } from './merge-patch.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'
import { TailLoop } from './tail-loop.ts'

export type StreamOperations = Pick<
  EngineBackend,
  'appendFrame' | 'readStream' | 'tailStream' | 'readSummary'
>

/** Documents that the last summaries made, so that the next patch need not fetch its own. */
const knownDocumentsMax = 64

interface Document {
  readonly version: number
  readonly text: string
}

const nothing: Document = { version: 0, text: '{}' }

export class StreamBackend implements StreamOperations {
  private readonly store: Store
  private readonly tails: TailLoop
  private readonly documents = new Map<string, Document>()

  constructor(store: Store) {
    this.store = store
    this.tails = new TailLoop(store)
  }

  /** The operations alone, to be put beside others. */
  operations(): StreamOperations {
    return {
      appendFrame: (handle, frame) => this.appendFrame(handle, frame),
      readStream: (id, attempt, range) => this.readStream(id, attempt, range),
      tailStream: (id, attempt, request) => this.tailStream(id, attempt, request),
      readSummary: (id, attempt) => this.readSummary(id, attempt),
    }
  }

  /** Ends every wait. */
  close(): void {
    this.tails.close()
  }

  async appendFrame(handle: Handle, frame: Frame): Promise<AppendFrameOutcome> {
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const { type, payload, encoding = 'binary', correlationId, seq, mode = 'durable' } = frame ?? {}
    checkMode(mode)
    const args = { ...fence, type, payload, correlation: correlationId, seq }
    if (mode === 'summary') return this.summarize(partition, args)
    const { number, count, replayed } = await storedCall(this.store, partition, 'stream.append', {
      ...args,
      mode,
      encoding,
    })
    const outcome = { outcome: 'appended', number, frameCount: count, replayed } as const
    return { ...outcome, summaryVersion: undefined }
  }

  async readStream(id: ExecutionId, attempt: number, range: FrameRange): Promise<FramePage> {
    const { partition, local } = parseExecutionId(id)
    const { from = 'start', to = 'end', count } = range ?? {}
    const args = {
      id: local,
      attempt,
      from: from === 'start' ? 1 : from,
      to: to === 'end' ? undefined : to,
      count,
    }
    const found = await storedCall(this.store, partition, 'stream.read', args)
    return readPage(`frames:${local}:${attempt}`, found)
  }

  async tailStream(id: ExecutionId, attempt: number, request: TailRequest): Promise<FramePage> {
    const { partition, local } = parseExecutionId(id)
    const { after, waitMs, count, signal } = request ?? {}
    // Checked here, too, because the wait is over before a look with it is made.
    checkWhole('waitMs', waitMs, bounds.tail_ms)
    const args = { partition, id: local, attempt, after, count, waitMs, signal }
    return readPage(`frames:${local}:${attempt}`, await this.tails.tail(args))
  }

  async readSummary(id: ExecutionId, attempt: number): Promise<StreamSummary | undefined> {
    const { partition, local } = parseExecutionId(id)
    const args = { id: local, attempt }
    const found = await storedCall(this.store, partition, 'stream.summary', args)
    if (found.outcome === 'absent') return undefined
    const { version, updated_at, document } = found
    return { document: Buffer.from(document).toString(), version, updatedAtMs: updated_at }
  }

  /** Merges here, where JSON is exact; the store takes it only for the document merged from. */
  private async summarize(
    partition: number,
    args: Omit<Arguments<'stream.summarize'>, 'base' | 'document'>,
  ): Promise<AppendFrameOutcome> {
    const patch = readPatch(args.payload)
    const name = `${partition}-${args.id}:${args.attempt}`
    let from = this.documents.get(name) ?? nothing
    for (;;) {
      const text = merged(from.text, patch, `${args.id}:${args.attempt}`)
      const document = Buffer.from(text)
      requireFitting(document)
      const answer = await storedCall(this.store, partition, 'stream.summarize', {
        ...args,
        base: from.version,
        document,
      })
      if (answer.outcome === 'summarized') {
        if (!answer.replayed) this.remember(name, { version: answer.version, text })
        return {
          outcome: 'appended',
          number: answer.number,
          frameCount: answer.count,
          summaryVersion: answer.version,
          replayed: answer.replayed,
        }
      }
      from = { version: answer.version, text: textOf(answer.document) }
    }
  }

  private remember(name: string, document: Document): void {
    this.documents.delete(name)
    this.documents.set(name, document)
    if (this.documents.size <= knownDocumentsMax) return
    for (const oldest of this.documents.keys()) {
      this.documents.delete(oldest)
      return
    }
  }
}

function textOf(document: Uint8Array | undefined): string {
  return document === undefined ? nothing.text : Buffer.from(document).toString()
}

/** The patch was checked before: what does not parse is the stored document. */
function merged(document: string, patch: string, name: string): string {
  try {
    return mergePatch(document, patch)
  } catch (cause) {
    return corruptKey(`summary:${name}`, 'document', 'does not parse', cause)
  }
}

function requireFitting(document: Uint8Array): void {
  if (document.byteLength <= bytesMax.summary) return
  const why = `makes the document larger than ${bytesMax.summary} bytes`
  throw new EngineError('invalid_input', `payload ${why}`, {
    details: { argument: 'payload', why, bytes: document.byteLength },
  })
}

function readPage(key: string, found: Accepted<'stream.read'>): FramePage {
  return {
    frames: found.frames.map((packed) => readFrame(packed, key)),
    nextCursor: found.next,
    hasMore: found.more,
    frameCount: found.count,
    ended: found.over && found.next >= found.count,
    closedReason: found.closed,
    firstRetained: found.first,
  }
}
