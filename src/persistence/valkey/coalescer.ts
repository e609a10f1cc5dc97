// Sends the operations that are issued in one tick for one partition as one server call.
import { counts } from '../../limits.ts'

/** A large value that is written beside the call, in one transaction with it. */
export interface Attachment {
  readonly key: string
  readonly value: Uint8Array
}

/** What one operation sends. */
export interface Outgoing {
  /** How many executions it may touch: what a batch is measured by. */
  readonly weight: number
  readonly wire: readonly (string | Uint8Array)[]
  readonly attachment?: Attachment | undefined
}

/** One operation on its way: what to send, and whom to tell. */
export interface PendingCall extends Outgoing {
  readonly bytes: number
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Sends a batch and answers with one reply for each of its calls, in order. */
export type SendBatch = (calls: readonly PendingCall[]) => Promise<readonly unknown[]>

/** More than this in one call would hold the server up for others. */
const batchBytesMax = 4_194_304

/**
 * Collects calls until the current tick is over, then sends them together. Calls keep their order
 * within a partition; an error in one does not touch the others.
 */
export class Coalescer {
  private queue: PendingCall[] = []
  private scheduled = false
  private readonly send: SendBatch

  constructor(send: SendBatch) {
    this.send = send
  }

  call(outgoing: Outgoing): Promise<unknown> {
    const bytes = bytesOf(outgoing)
    // Spelled out: every operation passes here, and copying by spread takes much longer.
    const { weight, wire, attachment } = outgoing
    const reply = new Promise((resolve, reject) => {
      this.queue.push({ weight, wire, attachment, bytes, resolve, reject })
    })
    if (!this.scheduled) this.schedule()
    return reply
  }

  private schedule(): void {
    this.scheduled = true
    // After all that this reply sets off, also by those who wait a tick for others to finish
    // first; but not after the next reply: the server should have work meanwhile.
    process.nextTick(() => queueMicrotask(() => process.nextTick(() => this.flush())))
  }

  private flush(): void {
    this.scheduled = false
    const queue = this.queue
    this.queue = []
    for (const batch of slices(queue)) {
      this.send(batch).then(
        (replies) => batch.forEach((call, index) => void call.resolve(replies[index])),
        (error) => batch.forEach((call) => void call.reject(error)),
      )
    }
  }
}

function* slices(queue: readonly PendingCall[]): Generator<readonly PendingCall[]> {
  let batch: PendingCall[] = []
  let bytes = 0
  let weight = 0
  for (const call of queue) {
    const isFull = bytes + call.bytes > batchBytesMax || weight + call.weight > counts.batchMax
    if (batch.length > 0 && isFull) {
      yield batch
      batch = []
      bytes = 0
      weight = 0
    }
    batch.push(call)
    bytes += call.bytes
    weight += call.weight
  }
  if (batch.length > 0) yield batch
}

function bytesOf({ wire, attachment }: Outgoing): number {
  let bytes = attachment?.value.byteLength ?? 0
  for (const part of wire) bytes += part.length
  return bytes
}
