// Hashes of the other store as operations work on them here; the twin of lua/lib/hashes.lua.

type Fields = ReadonlyMap<string, string | Uint8Array>

/** A record whose fields are texts or whole numbers. */
export class Hash {
  private readonly fields: () => Fields | undefined
  private readonly store: (name: string, value: string | undefined) => void

  /** `store` keeps a changed field; undefined stands for one that is gone. */
  constructor(
    fields: () => Fields | undefined,
    store: (name: string, value: string | undefined) => void,
  ) {
    this.fields = fields
    this.store = store
  }

  get(name: string): string | undefined {
    const value = this.fields()?.get(name)
    return value === undefined ? undefined : String(value)
  }

  number(name: string): number {
    return Number(this.get(name) ?? 0)
  }

  set(name: string, value: string | number | undefined): void {
    this.store(name, value === undefined ? undefined : String(value))
  }

  add(name: string, by: number): void {
    const value = this.number(name) + by
    this.set(name, value === 0 ? undefined : value)
  }
}
