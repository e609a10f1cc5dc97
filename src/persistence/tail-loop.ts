// Waits for frames without asking again and again: looks, registers, and sleeps until it is called.
import { EngineError } from '../errors.ts'
import { counts } from '../limits.ts'
import type { Accepted } from './answers.ts'
import type { Store, StoreNotice } from './store.ts'
import { storedCall } from './stored-call.ts'

type Found = Accepted<'stream.tail'>

export interface TailArguments {
  readonly partition: number
  readonly id: string
  readonly attempt: number
  readonly after: number
  readonly count: number
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
}

/** What a refused tail is told to wait: others end all the time. */
const retryAfterMs = 250

/** One tail that waits; a call that comes while it looks makes it look again. */
class Waiter {
  private called = false
  private wake: (() => void) | undefined

  call(): void {
    this.called = true
    this.wake?.()
  }

  /** Resolves when it was called since the last time, or after `ms`, or when the signal fires. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        this.wake = undefined
        this.called = false
        resolve()
      }
      const timer = setTimeout(finish, ms)
      this.wake = finish
      signal?.addEventListener('abort', finish, { once: true })
      if (this.called || signal?.aborted) finish()
    })
  }
}

export class TailLoop {
  private readonly store: Store
  /** `partition-id` → who waits for its frames. */
  private readonly waiters = new Map<string, Set<Waiter>>()
  private waiting = 0
  private listening: Promise<() => void> | undefined
  private closed = false

  constructor(store: Store) {
    this.store = store
  }

  /** Ends every wait: those who tail are told that the engine was closed. */
  close(): void {
    this.closed = true
    this.callAll()
  }

  /** The frames after the cursor, at once or within `waitMs`; none when there were none. */
  async tail(args: TailArguments): Promise<Found> {
    if (args.waitMs <= 0) return this.look(args, 0)
    if (this.waiting >= counts.tailsMax) {
      throw new EngineError('tails_exhausted', `${counts.tailsMax} tails wait already`, {
        details: { max: counts.tailsMax, retryAfterMs },
      })
    }
    this.waiting += 1
    try {
      await this.listen()
      return await this.wait(args)
    } finally {
      this.waiting -= 1
    }
  }

  private async wait(args: TailArguments): Promise<Found> {
    const name = `${args.partition}-${args.id}`
    const waiters = this.waiters.get(name) ?? new Set()
    this.waiters.set(name, waiters)
    const waiter = new Waiter()
    // Before the first look: a call that comes right after it must not be missed.
    waiters.add(waiter)
    const untilMs = Date.now() + args.waitMs
    try {
      for (;;) {
        const leftMs = Math.max(0, untilMs - Date.now())
        const found = await this.look(args, leftMs)
        const isOver = found.frames.length > 0 || found.over || leftMs === 0
        if (isOver || args.signal?.aborted) return found
        this.requireOpen()
        await waiter.sleep(leftMs, args.signal)
        this.requireOpen()
        if (args.signal?.aborted) return found
      }
    } finally {
      waiters.delete(waiter)
      if (waiters.size === 0) this.waiters.delete(name)
    }
  }

  private look({ partition, id, attempt, after, count }: TailArguments, waitMs: number) {
    const args = { id, attempt, after, count, wait_ms: waitMs }
    return storedCall(this.store, partition, 'stream.tail', args)
  }

  private requireOpen(): void {
    if (!this.closed) return
    throw new EngineError('engine_closed', 'the engine was closed while tailing')
  }

  private async listen(): Promise<void> {
    this.listening ??= this.store.listen((notice) => this.hear(notice))
    try {
      await this.listening
    } catch (error) {
      // The next tail tries again.
      this.listening = undefined
      throw error
    }
  }

  private hear(notice: StoreNotice): void {
    if (notice.notice === 'gap') this.callAll()
    if (notice.notice !== 'frames') return
    for (const waiter of this.waiters.get(`${notice.partition}-${notice.local}`) ?? []) {
      waiter.call()
    }
  }

  private callAll(): void {
    for (const waiters of this.waiters.values()) for (const waiter of waiters) waiter.call()
  }
}
