// Random choices that are the same in every run: each test seeds them with its own name.
import { createHash } from 'node:crypto'

export class Random {
  private state: number

  constructor(seed: string) {
    this.state = createHash('sha256').update(seed).digest().readUInt32BE(0)
  }

  /** A whole number from 0, below `limit` (mulberry32, Tommy Ettinger 2017). */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }

  one<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value
  }
}
