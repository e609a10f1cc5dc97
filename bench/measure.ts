// What a suite reports: named measures, each with the spread of its rounds.

/** How the samples of several rounds lie; `n` is the number of rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly n: number
}

export interface Measure {
  readonly name: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  readonly holdfast: Spread
  readonly bullmq?: Spread
  readonly plain?: Spread
}

/** What a suite hands back. */
export interface SuiteResult {
  /** Name and version of the server that it ran on. */
  readonly server: string
  readonly measures: readonly Measure[]
  /** What people should know beside the figures; no part of the JSON. */
  readonly remarks: readonly string[]
}

export interface SuiteOptions {
  /** Tiny rounds that show that everything works, not how fast it is. */
  readonly quick: boolean
  /** Tells people how far the suite has come. */
  readonly note: (text: string) => void
}

export type Suite = (options: SuiteOptions) => Promise<SuiteResult>

/** The spread of at least one sample, to four significant digits. */
export function spread(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (position: number) => sorted[position] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  return {
    median: rounded((at(Math.floor(middle)) + at(Math.ceil(middle))) / 2),
    min: rounded(at(0)),
    max: rounded(at(sorted.length - 1)),
    n: sorted.length,
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

/** The better of two spreads, by their medians. */
export function best(better: Measure['better'], one: Spread, other: Spread): Spread {
  return one.median > other.median === (better === 'higher') ? one : other
}

/** How many times better Holdfast is than BullMQ; undefined without a BullMQ figure. */
export function advantage({ better, holdfast, bullmq }: Measure): number | undefined {
  if (bullmq === undefined) return undefined
  return better === 'higher' ? holdfast.median / bullmq.median : bullmq.median / holdfast.median
}
