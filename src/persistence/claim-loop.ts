// Claims across partitions and waits for work without asking empty partitions again and again.

import { EngineError } from '../errors.ts'
import type { Accepted } from './answers.ts'
import { accepted } from './answers.ts'
import type { ClaimedExecution } from './backend.ts'
import type { Arguments } from './contract.ts'
import type { ClaimedRow } from './generated/operations.ts'
import { claimedExecution } from './handle.ts'
import type { Store, StoreNotice } from './store.ts'

/** A sleeper registers for so long at most, and looks at every partition again afterwards. */
const sleepMsMax = 30_000

export interface ClaimRequest {
  readonly args: Omit<Arguments<'lease.claim'>, 'sleep_ms'>
  readonly maxWaitMs: number
  readonly signal: AbortSignal | undefined
  /** True when the caller chose the lease id, and may have claimed with it before. */
  readonly repeatable: boolean
}

/**
 * For one set of lanes and capabilities: when each partition is worth a look. A partition that was
 * empty is left alone until a notice, its next due time, or the end of our registration there.
 */
interface Outlook {
  readonly lanes: ReadonlySet<string>
  /** Local time per partition. */
  readonly lookAtMs: Float64Array
  /** Claims that wait. */
  readonly wakers: Set<() => void>
}

export class ClaimLoop {
  private readonly store: Store
  private readonly outlooks = new Map<string, Outlook>()
  private listening: Promise<() => void> | undefined
  private startAt = 0
  private closed = false

  constructor(store: Store) {
    this.store = store
  }

  /** Ends every wait: those who claim are told that the engine was closed. */
  close(): void {
    this.closed = true
    for (const outlook of this.outlooks.values()) wakeAll(outlook)
  }

  /** Claims at once or within `maxWaitMs`; empty when there was nothing or the signal fired. */
  async claim(request: ClaimRequest): Promise<readonly ClaimedExecution[]> {
    const severalPartitions = this.store.partitionCount > 1
    const held = request.repeatable && severalPartitions ? await this.findHeld(request) : []
    if (held.length > 0) return held
    if (request.maxWaitMs <= 0) return this.lookOnce(request)
    await this.listen()
    const outlook = this.outlook(request)
    const untilMs = Date.now() + request.maxWaitMs
    for (;;) {
      const found = await this.look(request, outlook, untilMs)
      if (found.length > 0 || request.signal?.aborted || Date.now() >= untilMs) return found
      this.requireOpen()
      await this.sleep(outlook, untilMs, request.signal)
      this.requireOpen()
      if (request.signal?.aborted) return []
    }
  }

  private requireOpen(): void {
    if (!this.closed) return
    throw new EngineError('engine_closed', 'the engine was closed while waiting')
  }

  private async listen(): Promise<void> {
    this.listening ??= this.store.listen((notice) => this.hear(notice))
    try {
      await this.listening
    } catch (error) {
      // The next claim tries again.
      this.listening = undefined
      throw error
    }
  }

  /** What this very claim was given before, wherever that was. */
  private async findHeld({ args }: ClaimRequest): Promise<ClaimedExecution[]> {
    const { lease_id, count } = args
    const partitions = Array.from({ length: this.store.partitionCount }, (_, index) => index)
    const found = await Promise.all(
      partitions.map(async (partition) => {
        const answer = await this.store.call(partition, 'lease.find', { lease_id, count })
        return this.take(partition, accepted('lease.find', answer).rows)
      }),
    )
    return found.flat()
  }

  /** One pass over all partitions, starting somewhere else each time. */
  private async lookOnce({ args }: ClaimRequest): Promise<ClaimedExecution[]> {
    const found: ClaimedExecution[] = []
    for (const partition of this.rotation()) {
      const count = args.count - found.length
      if (count === 0) break
      try {
        const answer = await this.ask(partition, { ...args, count, sleep_ms: undefined })
        if (answer.outcome === 'claimed') found.push(...this.take(partition, answer.rows))
      } catch (error) {
        // What is leased already must not be lost with the error: the next claim will meet it.
        if (found.length === 0) throw error
        break
      }
    }
    return found
  }

  private async look(
    { args }: ClaimRequest,
    outlook: Outlook,
    untilMs: number,
  ): Promise<ClaimedExecution[]> {
    const found: ClaimedExecution[] = []
    for (const partition of this.rotation()) {
      const count = args.count - found.length
      if (count === 0) break
      const nowMs = Date.now()
      if ((outlook.lookAtMs[partition] ?? 0) > nowMs) continue
      const sleepMs = Math.max(100, Math.min(untilMs - nowMs, sleepMsMax))
      // A notice that comes while we ask must not be overwritten by the older answer.
      outlook.lookAtMs[partition] = Number.POSITIVE_INFINITY
      const nextInMs = await this.ask(partition, { ...args, count, sleep_ms: sleepMs }).then(
        (answer) => {
          if (answer.outcome === 'empty') return waitMs(answer, sleepMs)
          found.push(...this.take(partition, answer.rows))
          return 0
        },
        (error) => {
          // Nothing is known about that partition, so the next claim looks there.
          lower(outlook, partition, 0)
          // What is leased already must not be lost with the error: that claim will meet it.
          if (found.length === 0) throw error
          return 0
        },
      )
      lower(outlook, partition, Date.now() + nextInMs)
    }
    return found
  }

  private async ask(
    partition: number,
    args: Arguments<'lease.claim'>,
  ): Promise<Accepted<'lease.claim'>> {
    return accepted('lease.claim', await this.store.call(partition, 'lease.claim', args))
  }

  private take(partition: number, rows: readonly ClaimedRow[]): ClaimedExecution[] {
    return rows.map((row) => claimedExecution(this.store.kind, partition, row))
  }

  private *rotation(): Generator<number> {
    const count = this.store.partitionCount
    const start = this.startAt++ % count
    for (let step = 0; step < count; step++) yield (start + step) % count
  }

  private outlook({ args }: ClaimRequest): Outlook {
    const name = `${args.lanes} ${args.capabilities} ${args.kinds}`
    let outlook = this.outlooks.get(name)
    if (outlook === undefined) {
      outlook = {
        lanes: new Set(args.lanes.split(',')),
        lookAtMs: new Float64Array(this.store.partitionCount),
        wakers: new Set(),
      }
      this.outlooks.set(name, outlook)
    }
    return outlook
  }

  private hear(notice: StoreNotice): void {
    for (const outlook of this.outlooks.values()) {
      if (notice.notice === 'gap') {
        outlook.lookAtMs.fill(0)
        wakeAll(outlook)
      } else if (notice.notice === 'lane' && outlook.lanes.has(notice.lane)) {
        lower(outlook, notice.partition, Date.now() + notice.inMs)
      }
    }
  }

  /** Waits until a partition is worth a look, a notice came, the time is over, or the signal. */
  private sleep(outlook: Outlook, untilMs: number, signal: AbortSignal | undefined): Promise<void> {
    const nextMs = Math.min(untilMs, ...outlook.lookAtMs)
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        outlook.wakers.delete(finish)
        resolve()
      }
      const timer = setTimeout(finish, Math.max(0, nextMs - Date.now()))
      outlook.wakers.add(finish)
      signal?.addEventListener('abort', finish, { once: true })
    })
  }
}

/** How long an empty partition can be left alone. */
function waitMs(answer: Extract<Accepted<'lease.claim'>, { outcome: 'empty' }>, sleepMs: number) {
  if (answer.next_at === undefined) return sleepMs
  return Math.min(sleepMs, Math.max(1, answer.next_at - answer.now))
}

function wakeAll(outlook: Outlook): void {
  for (const wake of [...outlook.wakers]) wake()
}

function lower(outlook: Outlook, partition: number, atMs: number): void {
  outlook.lookAtMs[partition] = Math.min(outlook.lookAtMs[partition] ?? 0, atMs)
  // Another claim may wait for what this one has just learnt.
  wakeAll(outlook)
}
