// Turns a list of random numbers into choices; zeros make the first, simplest choice every time.
export class Draw {
  private readonly numbers: readonly number[]
  private position = 0

  constructor(numbers: readonly number[]) {
    this.numbers = numbers
  }

  private next(): number {
    const number = this.numbers[this.position] ?? 0
    this.position += 1
    return number
  }

  /** From 0 to below `count`. */
  below(count: number): number {
    return this.next() % count
  }

  one<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.below(values.length)] as Value
  }

  /** One of the values, or undefined when there is none. */
  any<Value>(values: readonly Value[]): Value | undefined {
    return values.length === 0 ? undefined : values[this.below(values.length)]
  }

  /** Happens in so many of a hundred draws. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent
  }

  /** The value in so many of a hundred draws, otherwise nothing. */
  maybe<Value>(percent: number, make: () => Value): Value | undefined {
    return this.chance(percent) ? make() : undefined
  }
}
