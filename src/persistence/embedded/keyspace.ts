// Everything that one partition stores in Valkey, in memory and under the same names.
import type { IndexName } from '../../machines/execution.ts'
import type { ExecutionFields } from './execution-fields.ts'
import { FeedLog } from './feed-log.ts'
import { Flows } from './flows.ts'
import { Hash } from './hash.ts'
import { Hashes } from './hashes.ts'
import { LimitTable } from './limit-table.ts'
import { Execution, type FieldKind, fieldKinds, type StoredExecution } from './record.ts'
import { ChangeLog, RecordMap } from './record-map.ts'
import { compareWords, SortedSet } from './sorted-set.ts'
import { Streams } from './streams.ts'
import { queueOf, Turns } from './turns.ts'

/** Which execution an idempotency key made, and from what. */
export interface KeyedExecution {
  readonly id: string
  readonly fingerprint: string
}

/** Indexes that claims read: one per lane and set of required capabilities. */
type RoutedIndexName = 'ready' | 'resumed' | 'reclaimable'

export function isRouted(index: string): index is RoutedIndexName {
  return index === 'ready' || index === 'resumed' || index === 'reclaimable'
}

/** The records of one execution, by the prefix of their keys. */
function ownRecords(stored: StoredExecution) {
  return [
    ['x:', stored.fields],
    ['in:', stored.input],
    ['out:', stored.ending],
    ['note:', stored.note],
    ['tags:', stored.tags],
    ['tagged:', stored.tagged],
    ['attempts:', stored.attempts],
  ] as const
}

type Indexes = Readonly<Record<Exclude<IndexName, RoutedIndexName>, SortedSet>>

/**
 * The stored state. Records are durable and note their changes; indexes follow from the records.
 * Stored fields are never changed in place: operations work on copies.
 */
export class Keyspace {
  readonly changes: ChangeLog

  // Records.
  readonly executions = new Map<string, StoredExecution>()
  readonly keyed: RecordMap<KeyedExecution>
  readonly lanes: RecordMap<string>
  readonly config: RecordMap<string>
  readonly keyring: RecordMap<string>
  /** Lane → the sets of capabilities that its work ever required. */
  readonly routes: RecordMap<ReadonlySet<string>>
  readonly feed: FeedLog
  readonly streams: Streams
  readonly flows: Flows
  /** Work for later, and such that could not be done. */
  readonly work: Readonly<Record<'backlog' | 'stuck', string[]>> = { backlog: [], stuck: [] }
  readonly limits: LimitTable
  /** By budget: its fields, what executions used of it, reservations. */
  readonly budgets: Hashes
  /** The two parts of the budgets' ledgers. */
  readonly ledgers: readonly [Hashes, Hashes]
  readonly holds: Hashes
  /** By budget: which version of it each partition has heard of. */
  readonly told: Hashes
  /** What budgets of any partition told this one; whose waiters are being let go. */
  readonly exhausted: RecordMap<string>
  readonly admitting: RecordMap<string>
  /** By execution: what it reported that it used. */
  readonly usage: Hashes

  // What follows from the records.
  readonly indexes: Indexes = {
    blocked: new SortedSet(),
    delayed: new SortedSet(),
    leased: new SortedSet(),
    suspended: new SortedSet(),
    terminal: new SortedSet(),
    waiting: new SortedSet(),
  }
  readonly routed: Readonly<Record<RoutedIndexName, Map<string, SortedSet>>> = {
    ready: new Map(),
    resumed: new Map(),
    reclaimable: new Map(),
  }
  /** Queues of ready work in which the keys of a route take turns. */
  readonly turns = new Turns(this.routed.ready, () => new SortedSet())
  readonly listing = new SortedSet()
  /** By the digest of a tag's name and value. */
  readonly tagged = new Map<string, SortedSet>()
  /** Executions, and buckets of limits by their names. */
  readonly timers = new SortedSet(compareWords)
  readonly budgetIds = new SortedSet()
  readonly budgetTimes = new SortedSet()
  readonly unsettled = new SortedSet()
  readonly untold = new SortedSet()
  /** Budget → who waits for it. */
  readonly waiters = new Map<string, SortedSet>()
  readonly leases = new Map<string, string>()

  /** Lane → until when a claim waits for work in it; worth nothing after a restart. */
  readonly sleepers = new Map<string, number>()

  constructor(durable: boolean) {
    const changes = new ChangeLog(durable)
    this.changes = changes
    this.keyed = new RecordMap('key:', changes)
    this.lanes = new RecordMap('lanes', changes)
    this.config = new RecordMap('config', changes)
    this.keyring = new RecordMap('keyring', changes)
    this.routes = new RecordMap('routes', changes)
    this.feed = new FeedLog(changes)
    this.streams = new Streams(changes)
    this.flows = new Flows(changes)
    this.limits = new LimitTable(changes)
    this.budgets = new Hashes('budget:', changes)
    this.ledgers = [new Hashes('ledger0:', changes), new Hashes('ledger1:', changes)]
    this.holds = new Hashes('holds:', changes)
    this.usage = new Hashes('usage:', changes)
    this.told = new Hashes('told:', changes)
    this.exhausted = new RecordMap('exhausted', changes)
    this.admitting = new RecordMap('admitting', changes)
  }

  /** A copy of the execution to work on. */
  load(id: string): Execution | undefined {
    const stored = this.executions.get(id)
    return stored === undefined ? undefined : new Execution(stored)
  }

  storeFields(stored: StoredExecution, fields: Readonly<ExecutionFields>): void {
    if (stored.fields.state === 'absent') {
      this.executions.set(stored.id, stored)
      this.changes.note('in:', stored.id)
      if (stored.tags !== undefined) this.changes.note('tags:', stored.id)
      if (stored.tagged !== undefined) this.changes.note('tagged:', stored.id)
    }
    stored.fields = fields
    this.changes.note('x:', stored.id)
  }

  storeEnding(stored: StoredExecution, ending: Uint8Array | undefined): void {
    if (stored.ending === ending) return
    stored.ending = ending
    this.changes.note('out:', stored.id)
  }

  storeNote(stored: StoredExecution, note: string | undefined): void {
    if (stored.note === note) return
    stored.note = note
    this.changes.note('note:', stored.id)
  }

  storeAttempts(stored: StoredExecution, attempts: readonly string[]): void {
    stored.attempts = attempts
    this.changes.note('attempts:', stored.id)
  }

  /** Sets one field of a record that has fields; undefined removes it. */
  storeField(
    stored: StoredExecution,
    kind: FieldKind,
    name: string,
    value: string | Uint8Array | undefined,
  ): void {
    const fields = stored[kind] ?? new Map<string, string | Uint8Array>()
    stored[kind] = fields
    if (value === undefined) fields.delete(name)
    else fields.set(name, value)
    this.changes.note(`${kind}:${stored.id}:`, name)
  }

  /** A record that has fields, as an operation works on it. */
  hashOf(stored: StoredExecution, kind: FieldKind): Hash {
    return new Hash(
      () => stored[kind],
      (name, value) => this.storeField(stored, kind, name, value),
    )
  }

  /** Joins two executions by an edge; returns its places in the lists of both. */
  link(upstream: StoredExecution, downstream: StoredExecution) {
    downstream.up ??= []
    upstream.down ??= []
    const inbound = downstream.up.push(upstream.id) - 1
    const outbound = upstream.down.push(downstream.id) - 1
    return { inbound, outbound }
  }

  keepWork(kind: 'backlog' | 'stuck', item: string): void {
    this.work[kind].push(item)
    this.changes.note(kind, '')
  }

  /** The oldest work that is stuck, which is no longer. */
  takeStuck(count: number): readonly string[] {
    const taken = this.work.stuck.splice(0, count)
    if (taken.length > 0) this.changes.note('stuck', '')
    return taken
  }

  /** The oldest work for later, which is kept no longer. */
  takeWork(): string | undefined {
    const item = this.work.backlog.shift()
    if (item !== undefined) this.changes.note('backlog', '')
    return item
  }

  /** Forgets a record that has fields. */
  dropFields(stored: StoredExecution, kind: FieldKind): void {
    const names = stored[kind]?.keys() ?? []
    for (const name of names) this.changes.note(`${kind}:${stored.id}:`, name)
    stored[kind] = undefined
  }

  /** Forgets the execution's own records. */
  remove(stored: StoredExecution): void {
    this.executions.delete(stored.id)
    for (const kind of fieldKinds) this.dropFields(stored, kind)
    this.streams.remove(stored.id)
    for (const [prefix, value] of ownRecords(stored)) {
      if (value !== undefined) this.changes.note(prefix, stored.id)
    }
  }

  /** The index of that name that holds the execution; made when it is missing. */
  index(name: IndexName, fields: Readonly<ExecutionFields>): SortedSet {
    if (!isRouted(name)) return this.indexes[name]
    const route = routeOf(fields.lane, fields.capabilities)
    const found = this.routed[name].get(route)
    if (found !== undefined) return found
    const made = new SortedSet()
    this.routed[name].set(route, made)
    return made
  }

  /** The rows among which an execution stands: those of its key, where keys take turns. */
  rowsOf(name: IndexName, fields: Readonly<ExecutionFields>): SortedSet {
    const { lane, capabilities, share } = fields
    if (name !== 'ready' || share === undefined) return this.index(name, fields)
    const queue = queueOf(routeOf(lane, capabilities), share)
    return this.routed.ready.get(queue) ?? this.index(name, fields)
  }

  addRoute(lane: string, capabilities: string): void {
    const known = this.routes.get(lane)
    if (known?.has(capabilities)) return
    this.routes.set(lane, new Set(known).add(capabilities))
  }

  removeRoute(lane: string, capabilities: string): void {
    const left = new Set(this.routes.get(lane))
    left.delete(capabilities)
    if (left.size === 0) this.routes.delete(lane)
    else this.routes.set(lane, left)
  }
}

export function routeOf(lane: string, capabilities: string | undefined): string {
  return capabilities === undefined ? lane : `${lane}|${capabilities}`
}
