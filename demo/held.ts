// Counts the packages that cannot be audited yet, because something that they depend on is not.

import type { DependencyGraph } from './dependencies.ts'

export class Held {
  /** How many each package still waits for. */
  readonly #left: number[]
  readonly #after: readonly number[][]
  #count: number

  constructor({ before }: DependencyGraph) {
    this.#left = before.map((list) => list.length)
    this.#after = before.map(() => [])
    for (const [index, list] of before.entries()) {
      for (const one of list) this.#after[one]?.push(index)
    }
    this.#count = this.#left.filter((left) => left > 0).length
  }

  get count(): number {
    return this.#count
  }

  ended(index: number): void {
    // What has ended before what it depends on, in an earlier run, is not held either.
    if ((this.#left[index] ?? 0) > 0) this.#count -= 1
    this.#left[index] = Number.NEGATIVE_INFINITY
    for (const next of this.#after[index] ?? []) {
      const left = (this.#left[next] ?? 0) - 1
      this.#left[next] = left
      if (left === 0) this.#count -= 1
    }
  }
}
