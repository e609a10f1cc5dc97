// Work that follows from an operation; the twin of lua/lib/backlog.lua.
import type { Keyspace } from './keyspace.ts'

/** Does a bounded part of an item, pushes the rest, and returns how much it did. */
export type Perform = (words: readonly string[]) => number

export class Backlog {
  private readonly keyspace: Keyspace
  private items: string[] = []
  private late: string[] = []
  private told = false

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace
  }

  /** Sparing comes once nothing else is left: what others decide may make it needless. */
  push(item: string): void {
    const queue = item.startsWith('spare ') ? this.late : this.items
    queue.push(item)
  }

  private take(): string | undefined {
    return this.items.shift() ?? this.late.shift()
  }

  /**
   * Does what this operation has brought up, as far as `units` go; the rest is kept. Returns how
   * many units are left.
   */
  run(perform: Perform, units: number): number {
    let left = units
    for (let item = this.take(); item !== undefined; item = this.take()) {
      if (left > 0) left -= this.attempt(item, perform)
      else {
        this.keyspace.keepWork('backlog', item)
        this.told = true
      }
    }
    return left
  }

  /** Whether anything waits to be done. */
  get isKept(): boolean {
    return this.keyspace.work.backlog.length > 0
  }

  /** Whether this call has left work for later, so that somebody should be told. */
  get isTold(): boolean {
    return this.told
  }

  /** Does kept items, oldest first. Returns how many it took up. */
  drain(perform: Perform, units: number): number {
    let done = 0
    let left = units
    while (left > 0) {
      const item = this.keyspace.takeWork()
      if (item === undefined) break
      done += 1
      left -= this.attempt(item, perform)
      // What follows from it queues up behind the others.
      this.run(perform, 0)
    }
    return done
  }

  private attempt(item: string, perform: Perform): number {
    try {
      return perform(item.split(' '))
    } catch (failure) {
      // Kept for whoever mends it: one bad item must not hold up all others.
      const why = failure instanceof Error ? failure.message : String(failure)
      this.keyspace.keepWork('stuck', `${item}\n${why}`)
      this.told = true
      return 1
    }
  }

  /** Puts stuck items back among those that are kept. */
  retry(count: number): void {
    for (const entry of this.keyspace.takeStuck(count)) {
      this.keyspace.keepWork('backlog', entry.slice(0, entry.indexOf('\n')))
    }
  }
}
