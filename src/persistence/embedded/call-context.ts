// What the operations of one batch share: the stored state, one reading of the clock, its news.
import type { Refusal } from '../contract.ts'
import type { StoreNotice } from '../store.ts'
import { Backlog } from './backlog.ts'
import { Feed } from './feed.ts'
import type { Keyspace } from './keyspace.ts'
import { Wake } from './wake.ts'

export class CallContext {
  readonly keyspace: Keyspace
  readonly nowUs: number
  readonly nowMs: number
  readonly wake: Wake
  readonly feed: Feed
  readonly backlog: Backlog
  private done: Set<string> | undefined
  private news: Set<string> | undefined

  constructor(keyspace: Keyspace, nowUs: number) {
    this.keyspace = keyspace
    this.nowUs = nowUs
    this.nowMs = Math.floor(nowUs / 1000)
    this.wake = new Wake(keyspace)
    this.backlog = new Backlog(keyspace)
    this.feed = new Feed(keyspace, this.nowMs, () => this.wake.events())
  }

  /** Whether this is the first time that this batch asks for `name`. */
  first(name: string): boolean {
    this.done ??= new Set()
    if (this.done.has(name)) return false
    this.done.add(name)
    return true
  }

  /** Says that a bucket of a limit may have room now. */
  reconsider(bucket: string): void {
    this.news ??= new Set()
    this.news.add(bucket)
  }

  get hasNews(): boolean {
    return this.news !== undefined
  }

  /** The buckets that may have room, once. */
  takeNews(): ReadonlySet<string> | undefined {
    const { news } = this
    this.news = undefined
    return news
  }

  /** Writes what was gathered when all operations are through; returns the batch's notices. */
  finish(): StoreNotice[] {
    this.feed.flush()
    return this.wake.finish(this.nowMs, this.backlog.isTold)
  }
}

/** An answer that a correct caller cannot expect: a code of the error catalogue and facts. */
export function refuse(code: string, details: Readonly<Record<string, string>> = {}): Refusal {
  return { outcome: 'refused', code, details }
}
