// The flows of a partition with their members: records by field, and what follows from them.
import { Hash } from './hash.ts'
import type { ChangeLog } from './record-map.ts'
import { SortedSet } from './sorted-set.ts'

export class Flows {
  /** Flow id → its fields. */
  readonly records = new Map<string, Map<string, string>>()
  readonly tags = new Map<string, string>()
  readonly listing = new SortedSet()
  /** By the time at which a flow that is over is forgotten. */
  readonly ends = new SortedSet()
  private readonly members = new Map<string, SortedSet>()
  private readonly changes: ChangeLog

  constructor(changes: ChangeLog) {
    this.changes = changes
  }

  /** A flow as an operation works on it, or undefined when there is none. */
  get(id: string): Hash | undefined {
    return this.records.has(id) ? this.hash(id) : undefined
  }

  create(id: string, tags: string | undefined): void {
    this.records.set(id, new Map())
    this.listing.add(id, 0)
    if (tags !== undefined) {
      this.tags.set(id, tags)
      this.changes.note('flowtags:', id)
    }
  }

  membersOf(id: string): SortedSet {
    const found = this.members.get(id)
    if (found !== undefined) return found
    const made = new SortedSet()
    this.members.set(id, made)
    return made
  }

  /** Sets the time at which the flow is forgotten; undefined while nobody knows. */
  setEnd(id: string, atMs: number | undefined): void {
    const hash = this.hash(id)
    const before = hash.get('purge_at')
    if (before !== undefined) this.ends.remove(id, Number(before))
    hash.set('purge_at', atMs)
    if (atMs !== undefined) this.ends.add(id, atMs)
  }

  remove(id: string): void {
    this.setEnd(id, undefined)
    this.records.delete(id)
    this.members.delete(id)
    this.listing.remove(id, 0)
    this.changes.note('flow:', id)
    if (this.tags.delete(id)) this.changes.note('flowtags:', id)
  }

  /** Puts back a flow that a directory kept. */
  load(id: string, fields: Map<string, string>, tags: string | undefined): void {
    this.records.set(id, fields)
    this.listing.add(id, 0)
    if (tags !== undefined) this.tags.set(id, tags)
    const endsAt = fields.get('purge_at')
    if (endsAt !== undefined) this.ends.add(id, Number(endsAt))
  }

  /** The flow as an operation works on it, also before it is there: it has no fields then. */
  hash(id: string): Hash {
    const fields = () => this.records.get(id)
    return new Hash(fields, (name, value) => {
      if (value === undefined) fields()?.delete(name)
      else fields()?.set(name, value)
      this.changes.note('flow:', id)
    })
  }
}
