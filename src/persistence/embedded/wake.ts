// Wakes sleeping claims and tells watched endings; the twin of lua/lib/wake.lua.
import type { ExecutionEventName } from '../../machines/execution.ts'
import type { StoreNotice } from '../store.ts'
import type { Keyspace } from './keyspace.ts'

/** What one batch has to tell. */
export class Wake {
  private readonly keyspace: Keyspace
  /** Lane → the earliest time at which there is something to claim. */
  private calls: Map<string, number> | undefined
  private endings: string[] | undefined
  private news = false
  private owes = false
  private tailed: string[] | undefined
  private losses: StoreNotice[] | undefined

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace
  }

  /** Says that the lane has something to claim from `atMs` on. */
  lane(lane: string, atMs: number): void {
    const untilMs = this.keyspace.sleepers.get(lane)
    if (untilMs === undefined || atMs >= untilMs) return
    this.calls ??= new Map()
    const known = this.calls.get(lane)
    if (known === undefined || atMs < known) this.calls.set(lane, atMs)
  }

  /** Remembers a claim that found nothing and waits: whoever brings work will call it. */
  sleep(lane: string, untilMs: number): void {
    const known = this.keyspace.sleepers.get(lane)
    if (known === undefined || untilMs > known) this.keyspace.sleepers.set(lane, untilMs)
  }

  /** Says that a watched execution ended. */
  ended(id: string): void {
    this.endings ??= []
    this.endings.push(id)
  }

  /** Says that a lease was taken from its holder, who may be at work. */
  lost(local: string, epoch: number, event: ExecutionEventName): void {
    this.losses ??= []
    this.losses.push({ notice: 'lost', partition: 0, local, epoch, event })
  }

  /** Says that there are new events in the feed, and that somebody follows it. */
  events(): void {
    this.news = true
  }

  /** Says that other partitions have to be told something about slots. */
  owed(): void {
    this.owes = true
  }

  /** Says that those who wait for the execution's streams, until a time at most, look again. */
  tails(id: string, untilMs: number, nowMs: number): void {
    if (untilMs <= nowMs) return
    this.tailed ??= []
    this.tailed.push(id)
  }

  /** Forgets sleepers whose time is over. */
  forget(nowMs: number): void {
    for (const [lane, untilMs] of this.keyspace.sleepers) {
      if (untilMs <= nowMs) this.keyspace.sleepers.delete(lane)
    }
  }

  /** The notices of this batch: lanes in byte order, then all else as it happened. */
  finish(nowMs: number, hasBacklog: boolean): StoreNotice[] {
    const notices: StoreNotice[] = []
    for (const [lane, atMs] of [...(this.calls ?? [])].sort(byBytes)) {
      // Everybody who slept will ask again and register again.
      if (atMs <= nowMs) this.keyspace.sleepers.delete(lane)
      // Told as a delay, like the other store, whose clock is not that of its listeners.
      notices.push({ notice: 'lane', partition: 0, lane, inMs: Math.max(0, atMs - nowMs) })
    }
    for (const local of this.endings ?? []) notices.push({ notice: 'ended', partition: 0, local })
    notices.push(...(this.losses ?? []))
    if (hasBacklog) notices.push({ notice: 'backlog', partition: 0 })
    if (this.news) notices.push({ notice: 'events', partition: 0 })
    if (this.owes) notices.push({ notice: 'owed', partition: 0 })
    for (const local of this.tailed ?? []) notices.push({ notice: 'frames', partition: 0, local })
    return notices
  }
}

function byBytes([a]: [string, number], [b]: [string, number]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
