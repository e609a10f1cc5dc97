// Choices that fast-check makes as plain numbers, so that a failing sequence can shrink.
import fc from 'fast-check'

/** One command as numbers: which one, and what it decides. All zeros is the simplest. */
export interface Seed {
  readonly kind: number
  readonly picks: readonly number[]
}

const pickMax = 2 ** 30 - 1

export function seedsOf(kinds: number, lengthMax: number): fc.Arbitrary<Seed[]> {
  // Without bias: small numbers would mean that most options are left out most of the time.
  const seed = fc.record({
    kind: fc.noBias(fc.nat(kinds - 1)),
    picks: fc.noBias(fc.array(fc.nat(pickMax), { minLength: 8, maxLength: 8, size: 'max' })),
  })
  return fc.noBias(fc.array(seed, { minLength: 0, maxLength: lengthMax, size: 'max' }))
}

/** Takes decisions off the numbers one by one; when they are used up every decision is 0. */
export class Choices {
  private readonly picks: readonly number[]
  private position = 0
  private left: number
  private range = pickMax + 1

  constructor({ picks }: Seed) {
    this.picks = picks
    this.left = picks[0] ?? 0
  }

  /** A whole number from 0, below `limit`. */
  below(limit: number): number {
    if (this.range < limit * 16) {
      this.position += 1
      this.left = this.picks[this.position] ?? 0
      this.range = pickMax + 1
    }
    const chosen = this.left % limit
    this.left = Math.floor(this.left / limit)
    this.range = Math.floor(this.range / limit)
    return chosen
  }

  one<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value
  }

  /** True once in `rarity` times. */
  rarely(rarity: number): boolean {
    return this.below(rarity) === rarity - 1
  }

  /** One of the values, or undefined once in as many times as there are values, at the least. */
  optional<Value>(values: readonly Value[], rarity = 3): Value | undefined {
    return this.rarely(rarity) ? this.one(values) : undefined
  }
}
