// Hashes like Valkey's, by the name behind their prefix; each field is a durable record of its own.
import type { ChangeLog } from './record-map.ts'

const nothing: ReadonlyMap<string, string> = new Map()

export class Hashes {
  private readonly byName = new Map<string, Map<string, string>>()
  private readonly prefix: string
  private readonly changes: ChangeLog

  /** Names contain no blank: it stands between name and field in the key of a record. */
  constructor(prefix: string, changes: ChangeLog) {
    this.prefix = prefix
    this.changes = changes
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  /** The fields of one hash; none when there is no such hash. */
  fields(name: string): ReadonlyMap<string, string> {
    return this.byName.get(name) ?? nothing
  }

  get(name: string, field: string): string | undefined {
    return this.byName.get(name)?.get(field)
  }

  /** Sets a field; undefined removes it, and a hash without fields is none. */
  set(name: string, field: string, value: string | undefined): void {
    const fields = this.byName.get(name) ?? new Map<string, string>()
    if (value === undefined) fields.delete(field)
    else fields.set(field, value)
    if (fields.size === 0) this.byName.delete(name)
    else this.byName.set(name, fields)
    this.changes.note(this.prefix, `${name} ${field}`)
  }

  drop(name: string): void {
    for (const field of this.fields(name).keys()) {
      this.changes.note(this.prefix, `${name} ${field}`)
    }
    this.byName.delete(name)
  }

  entries(): IterableIterator<[string, ReadonlyMap<string, string>]> {
    return this.byName.entries()
  }

  /** The record of that name as it is now; undefined when it is gone. */
  record(name: string): string | undefined {
    const [hash, field] = splitName(name)
    return this.get(hash, field)
  }

  /** Puts back a record that a directory kept. */
  load(name: string, value: string): void {
    const [hash, field] = splitName(name)
    if (hash === '' || field === '') throw new Error('names no field')
    this.set(hash, field, value)
  }

  /** Takes over the hashes of another keyspace, sharing nothing that changes. */
  copyFrom(other: Hashes): void {
    for (const [name, fields] of other.entries()) this.byName.set(name, new Map(fields))
  }
}

function splitName(name: string): readonly [hash: string, field: string] {
  const end = name.indexOf(' ')
  return end < 0 ? [name, ''] : [name.slice(0, end), name.slice(end + 1)]
}
