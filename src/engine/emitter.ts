// Appends what one attempt emits to its stream: in order, each frame once, many per call.
import { EngineError, isEngineError } from '../errors.ts'
import { counts } from '../limits.ts'
import { checkFrame } from '../persistence/arguments.ts'
import type { ClaimedExecution, EngineBackend } from '../persistence/backend.ts'
import type { Frame, FrameEncoding, FrameMode } from '../persistence/frames.ts'
import { readPatch } from '../persistence/merge-patch.ts'
import type { Codec } from './json-codec.ts'

export interface EmitOptions {
  /**
   * `durable` frames are kept with the execution, `live` ones only for who reads along; with
   * `summary` the payload is a JSON merge patch on the attempt's rolling document.
   * @defaultValue 'durable'
   */
  readonly mode?: FrameMode
  /** Names what the frame belongs to, at most 256 bytes. */
  readonly correlationId?: string
}

type EmitterBackend = Pick<EngineBackend, 'appendFrame' | 'readStream'>

interface Waiting {
  readonly frame: Frame
  readonly resolve: (number: number) => void
  readonly reject: (error: unknown) => void
}

export class Emitter {
  private readonly backend: EmitterBackend
  private readonly claimed: ClaimedExecution
  private readonly codec: Codec
  private readonly queue: Waiting[] = []
  private sending: Promise<void> | undefined
  /** Number of the newest frame; undefined when it is not known. */
  private last: number | undefined

  constructor(backend: EmitterBackend, claimed: ClaimedExecution, codec: Codec) {
    this.backend = backend
    this.claimed = claimed
    this.codec = codec
    // A new attempt has a new stream, and nobody else appends to it.
    this.last = claimed.handle.kind === 'fresh' ? 0 : undefined
  }

  /** Throws `invalid_input` at once; everything else rejects. Resolves with the frame's number. */
  emit(type: string, payload: unknown, options: EmitOptions = {}): Promise<number> {
    const frame = this.frame(type, payload, options)
    return new Promise((resolve, reject) => {
      this.queue.push({ frame, resolve, reject })
      this.sending ??= this.send()
    })
  }

  private frame(type: string, payload: unknown, { mode, correlationId }: EmitOptions): Frame {
    const frame = { type, mode, correlationId, ...this.encode(payload, mode === 'summary') }
    checkFrame(frame)
    if (mode === 'summary') readPatch(frame.payload)
    return frame
  }

  private encode(
    value: unknown,
    isPatch: boolean,
  ): { readonly payload: Uint8Array; readonly encoding: FrameEncoding } {
    // A copy: the caller may use its buffer again before it is sent.
    if (value instanceof Uint8Array) return { payload: Buffer.from(value), encoding: 'binary' }
    if (typeof value === 'string') return { payload: Buffer.from(value), encoding: 'utf8' }
    try {
      const text = isPatch ? Buffer.from(String(JSON.stringify(value))) : this.codec.encode(value)
      return { payload: text, encoding: 'json' }
    } catch (cause) {
      throw new EngineError('invalid_input', `payload cannot be encoded: ${cause}`, {
        cause,
        details: { argument: 'payload' },
      })
    }
  }

  private async send(): Promise<void> {
    // What is emitted in one turn travels together.
    await Promise.resolve()
    while (this.queue.length > 0) await this.sendBatch(this.takeBatch())
    this.sending = undefined
  }

  /** A patch travels alone: it may be refused, and the numbers after it would not fit. */
  private takeBatch(): readonly Waiting[] {
    const firstPatch = this.queue.findIndex(({ frame }) => frame.mode === 'summary')
    const until =
      firstPatch < 0 ? counts.batchMax : Math.min(counts.batchMax, Math.max(1, firstPatch))
    return this.queue.splice(0, until)
  }

  /** The numbers make it harmless that a batch whose answer was lost is sent again. */
  private async sendBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      this.last ??= await this.readLast()
    } catch (error) {
      for (const { reject } of batch) reject(error)
      return
    }
    const last = this.last
    this.last = last + batch.length
    const refused = await Promise.all(
      batch.map((waiting, at) => this.sendFrame(waiting, last + at + 1)),
    )
    // In front of what was emitted since.
    this.queue.unshift(...refused.flatMap((waiting) => waiting ?? []))
  }

  /** Answers with the frame when it has to be sent again under another number. */
  private async sendFrame(waiting: Waiting, seq: number): Promise<Waiting | undefined> {
    try {
      await this.backend.appendFrame(this.claimed.handle, { ...waiting.frame, seq })
      waiting.resolve(seq)
    } catch (error) {
      // It may have been appended all the same: the stream knows.
      this.last = undefined
      // A frame before it failed, or the server lost its newest writes.
      if (isEngineError(error, 'frame_gap')) return waiting
      waiting.reject(error)
    }
    return undefined
  }

  private async readLast(): Promise<number> {
    const { executionId, attempt } = this.claimed
    const { frameCount } = await this.backend.readStream(executionId, attempt, { count: 1 })
    return frameCount
  }
}
