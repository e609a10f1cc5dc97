// Maps whose entries are durable records, and the log of which records changed.

/** Collects the keys of changed records until somebody stores them. */
export class ChangeLog {
  private keys = new Set<string>()
  private readonly kept: boolean

  /** Nothing is collected when nobody will store it. */
  constructor(kept: boolean) {
    this.kept = kept
  }

  note(prefix: string, name: string): void {
    if (this.kept) this.keys.add(prefix + name)
  }

  /** The keys since the last time, and starts anew. */
  take(): ReadonlySet<string> {
    const keys = this.keys
    if (keys.size > 0) this.keys = new Set()
    return keys
  }
}

/** A map that tells the change log what it changes. Inspection shows no values: some are secret. */
export class RecordMap<Value> {
  readonly #values = new Map<string, Value>()
  private readonly prefix: string
  private readonly whole: boolean
  private readonly changes: ChangeLog

  /**
   * Each entry is a record of its own under `prefix` and its name; a prefix without a colon is
   * the key of one record that holds the whole map.
   */
  constructor(prefix: string, changes: ChangeLog) {
    this.prefix = prefix
    this.whole = !prefix.endsWith(':')
    this.changes = changes
  }

  get size(): number {
    return this.#values.size
  }

  get(name: string): Value | undefined {
    return this.#values.get(name)
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value)
    this.changes.note(this.prefix, this.whole ? '' : name)
  }

  delete(name: string): void {
    if (this.#values.delete(name)) this.changes.note(this.prefix, this.whole ? '' : name)
  }

  entries(): IterableIterator<[string, Value]> {
    return this.#values.entries()
  }
}
