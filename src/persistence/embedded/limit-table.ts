// What a partition stores about limits: definitions, pauses, slots, starts and who waits.
import { type ChangeLog, RecordMap } from './record-map.ts'
import { ScoredSet } from './scored-set.ts'
import type { SortedSet } from './sorted-set.ts'
import { Turns } from './turns.ts'

function made<Value>(map: Map<string, Value>, name: string, make: () => Value): Value {
  const found = map.get(name) ?? make()
  map.set(name, found)
  return found
}

export class LimitTable {
  readonly definitions: RecordMap<string>
  readonly pauses: RecordMap<string>
  /** Bucket → who holds a slot. */
  readonly slots = new Map<string, ScoredSet>()
  /** Bucket → when which holder began; durable, because nothing else tells. */
  readonly starts = new Map<string, ScoredSet>()
  /** Limit → bucket → how many wait in it. */
  readonly waiting = new Map<string, Map<string, number>>()
  /** Bucket, or bucket and key → who waits. */
  readonly waiters = new Map<string, SortedSet>()
  readonly turns = new Turns(this.waiters, () => new ScoredSet())
  /** Bucket → when to look at it again; its row stands among the timers. */
  readonly openings = new Map<string, number>()
  /**
   * What other partitions have to be told about slots, by when. An embedded store has no others:
   * only tests ask it on behalf of one.
   */
  readonly owed = new ScoredSet()
  private readonly changes: ChangeLog

  constructor(changes: ChangeLog) {
    this.changes = changes
    this.definitions = new RecordMap('limits', changes)
    this.pauses = new RecordMap('pauses', changes)
  }

  addSlot(bucket: string, holder: string): void {
    made(this.slots, bucket, () => new ScoredSet()).add(holder, 0)
  }

  removeSlot(bucket: string, holder: string): void {
    this.slots.get(bucket)?.remove(holder)
    if (this.slots.get(bucket)?.size === 0) this.slots.delete(bucket)
  }

  addStart(bucket: string, holder: string, atMs: number): void {
    made(this.starts, bucket, () => new ScoredSet()).add(holder, atMs)
    this.changes.note('start:', `${bucket} ${holder}`)
  }

  removeStart(bucket: string, holder: string): void {
    const starts = this.starts.get(bucket)
    if (starts?.remove(holder) !== true) return
    if (starts.size === 0) this.starts.delete(bucket)
    this.changes.note('start:', `${bucket} ${holder}`)
  }

  waitersOf(bucket: string): SortedSet {
    return made(this.waiters, bucket, () => new ScoredSet())
  }

  /** Counts who waits in a bucket of a limit. */
  countWaiting(limit: string, bucket: string, change: number): void {
    const buckets = made(this.waiting, limit, () => new Map<string, number>())
    const count = (buckets.get(bucket) ?? 0) + change
    if (count > 0) buckets.set(bucket, count)
    else buckets.delete(bucket)
    if (buckets.size === 0) this.waiting.delete(limit)
    if (count <= 0 && this.waiters.get(bucket)?.size === 0) this.waiters.delete(bucket)
  }
}
