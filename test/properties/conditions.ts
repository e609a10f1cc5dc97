// Random resume conditions, signals and damaged texts; and the meaning of a condition, written
// down naively: one look at all signals, no state, no wire.
import fc from 'fast-check'
import type { ResumeCondition, SignalMatcher } from '../../src/persistence/condition.ts'
import type { OfferedSignal } from '../../src/persistence/condition-offer.ts'

/** A condition with the keys that it uses. */
export interface Posed {
  readonly condition: ResumeCondition
  readonly keys: readonly string[]
}

type Leaf = Extract<ResumeCondition, { kind: 'single' | 'count' }>

const keyPool = ['a', 'b', 'c', 'd']
const words = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('yes', 'no', 'n:1', 'ü', '*') },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8, size: 'max' })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what words may not contain
      .filter((text) => !/[\u0000-\u0020\u007f|,]|^__/.test(text) && Buffer.byteLength(text) <= 64),
  },
)
const categories = fc.constantFrom('approval', 'callback')
const sources = fc.constantFrom('user', 'use')
const correlations = fc.oneof(
  fc.constantFrom('order 1', '100%', 'ü|,\n\u0000'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
)

const optional = <Value>(values: fc.Arbitrary<Value>, weight = 3) =>
  fc.option(values, { nil: undefined, freq: 5 - weight })

const matchers: fc.Arbitrary<SignalMatcher | undefined> = optional(
  fc.record({
    names: optional(fc.uniqueArray(words, { minLength: 1, maxLength: 3 })),
    category: optional(categories, 1),
    source: optional(sources, 1),
    correlationId: optional(correlations, 1),
  }),
)

const singles: fc.Arbitrary<ResumeCondition> = fc.record({
  kind: fc.constant('single' as const),
  waitpoint: fc.constantFrom(...keyPool),
  match: matchers,
})

const countsOf: fc.Arbitrary<ResumeCondition> = fc
  .record({
    kind: fc.constant('count' as const),
    count: fc.integer({ min: 1, max: 3 }),
    of: fc.constantFrom('waitpoints' as const, 'signals' as const, 'sources' as const),
    waitpoints: fc.subarray(keyPool, { minLength: 1 }),
    match: matchers,
  })
  .map((count) => ({ ...count, count: Math.min(count.count, count.waitpoints.length) }))

const leaves = fc.oneof(singles, countsOf)

const upTo = (depth: number): fc.Arbitrary<ResumeCondition> =>
  depth === 0
    ? leaves
    : fc.oneof(
        { weight: 1, arbitrary: leaves },
        {
          weight: 2,
          arbitrary: fc.record({
            kind: fc.constantFrom('any' as const, 'all' as const),
            of: fc.array(upTo(depth - 1), { minLength: 1, maxLength: 3 }),
          }),
        },
      )

function leavesOf(condition: ResumeCondition): Leaf[] {
  if (condition.kind === 'single' || condition.kind === 'count') return [condition]
  return 'of' in condition ? condition.of.flatMap(leavesOf) : []
}

const keysOf = (leaf: Leaf): readonly string[] =>
  leaf.kind === 'single' ? [leaf.waitpoint] : leaf.waitpoints

export const posed: fc.Arbitrary<Posed> = fc
  .oneof(
    { weight: 1, arbitrary: fc.constantFrom({ kind: 'operator' }, { kind: 'timeout' } as const) },
    { weight: 30, arbitrary: upTo(4) },
  )
  .map((given) => {
    const condition = given as ResumeCondition
    const used = new Set(leavesOf(condition).flatMap(keysOf))
    return { condition, keys: keyPool.filter((key) => used.has(key)) }
  })

export const signals: fc.Arbitrary<OfferedSignal[]> = fc.array(
  fc.record({
    point: fc.integer({ min: 0, max: 3 }),
    id: fc.constantFrom('s0', 's1', 's2', 's3', 's|'),
    name: words,
    category: categories,
    source: sources,
    identity: fc.constantFrom('', 'alice', 'ralice', 'r|ü'),
    correlation: fc.oneof(fc.constant(''), correlations),
  }),
  { maxLength: 12, size: 'max' },
)

function fits(match: SignalMatcher | undefined, signal: OfferedSignal): boolean {
  if (match?.names !== undefined && !match.names.includes(signal.name)) return false
  if (match?.category !== undefined && match.category !== signal.category) return false
  if (match?.source !== undefined && match.source !== signal.source) return false
  return match?.correlationId === undefined || match.correlationId === signal.correlation
}

const hears = (leaf: Leaf, { keys }: Posed, signal: OfferedSignal): boolean =>
  keysOf(leaf).includes(keys[signal.point] ?? 'no key')

/** What counts at a leaf, out of all signals. */
function counted(leaf: Leaf, at: Posed, accepted: readonly OfferedSignal[]): number {
  const fitting = accepted.filter((signal) => hears(leaf, at, signal) && fits(leaf.match, signal))
  if (leaf.kind === 'single') return Math.min(fitting.length, 1)
  const named = fitting.filter(({ identity }) => leaf.of !== 'sources' || identity !== '')
  const identities = named.map(({ point, id, source, identity }) =>
    JSON.stringify({ waitpoints: point, signals: id, sources: [source, identity] }[leaf.of]),
  )
  return new Set(identities).size
}

/** Whether signals meet a condition, by the definition. */
export function holds(
  condition: ResumeCondition,
  at: Posed,
  accepted: readonly OfferedSignal[],
): boolean {
  switch (condition.kind) {
    case 'all':
      return condition.of.every((member) => holds(member, at, accepted))
    case 'any':
      return condition.of.some((member) => holds(member, at, accepted))
    case 'single':
      return counted(condition, at, accepted) === 1
    case 'count':
      return counted(condition, at, accepted) >= condition.count
    default:
      return false
  }
}

/** What the last of the signals did, by the definition. */
export function effectOfLast(at: Posed, accepted: readonly OfferedSignal[]): string {
  const last = accepted.at(-1)
  if (last === undefined) throw new Error('there is no signal')
  const listening = leavesOf(at.condition).filter((leaf) => hears(leaf, at, last))
  if (listening.length === 0) return 'none'
  const before = accepted.slice(0, -1)
  const grows = (leaf: Leaf) => counted(leaf, at, accepted) > counted(leaf, at, before)
  if (listening.some(grows)) return 'new'
  return listening.some((leaf) => counted(leaf, at, [last]) > 0) ? 'dup' : 'mismatch'
}

/** Something odd in one place of a condition as a caller writes it. */
export const misshapen: fc.Arbitrary<unknown> = fc
  .tuple(posed, fc.nat(), fc.anything({ withNullPrototype: true, withBigInt: true }))
  .map(([{ condition }, at, odd]) => {
    const copy: unknown = structuredClone({ condition })
    const places: (() => void)[] = []
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const name of Object.keys(value)) {
        const fields = value as Record<string, unknown>
        places.push(() => {
          fields[name] = odd
        })
        visit(fields[name])
      }
    }
    visit(copy)
    places[at % places.length]?.()
    return (copy as { readonly condition: unknown }).condition
  })

const pieces = fc.constantFrom(
  ...['s', 'a', 'o', 'c', 'w', 'i', 'operator', 'timeout', '', '*', '0', '1', '2', '3', '4'],
  ...['00', '01', '-1', '1.0', '1e1', '999', '1000', '1001', '9999', '10000', '+1', '0x1'],
  ...['n:', 'n:a,', 'n:,a', 'n:a|n:a', 'n:a||c:b', 'c:b|n:a', 'c:', 't:', 'r:', 'x:a', '|', 'n'],
  ...['r:%41', 'r:%FF', 'r:%ff', 'r:%C3%BC', 'r:%c3%bc', 'r:%', 'r:%4', 'r:ü', 'r:%00', 'r:+'],
  ...['\t', '\n', '\u0000', 'n:\u0085', 'c:\u00a0', 'c:\u007f', 't:\u0000', 'n:a\tb', 'N:a'],
  ...['n:__a', 'n:a,__b', 'n:a__', 'c:timeout', 't:engine', 'c:engine', 't:timeout'],
  ...[`n:${'x'.repeat(64)}`, `n:${'x'.repeat(65)}`, `n:${'ü'.repeat(33)}`, `r:${'x'.repeat(256)}`],
  ...[`r:${'x'.repeat(257)}`, `r:${'%C3%BC'.repeat(128)}`, `r:${'%C3%BC'.repeat(129)}`],
)

interface Edit {
  readonly at: number
  readonly remove: number
  readonly insert: readonly string[]
}

function edited(text: string, edits: readonly Edit[], separator: string): string {
  const parts = text.split(separator)
  for (const { at, remove, insert } of edits) {
    parts.splice(at % (parts.length + 1), remove, ...insert)
  }
  return parts.join(separator)
}

const editsOf = (piece: fc.Arbitrary<string>) =>
  fc.array(
    fc.record({
      at: fc.nat(40),
      remove: fc.nat(2),
      insert: fc.array(piece, { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  )

const bytes = fc.oneof(
  fc.integer({ min: 0x80, max: 0xff }),
  fc.constantFrom(0x41, 0x80, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5),
)

/** A matcher on a correlation id of bytes that are seldom text. */
const percents = fc
  .array(bytes, { minLength: 1, maxLength: 5 })
  .map((list) => `s 0 r:${list.map((byte) => `%${byte.toString(16).toUpperCase()}`).join('')}`)

/** Counts of few waitpoints, all words in their places. */
const countTexts = fc
  .tuple(fc.constantFrom('w', 's', 'i'), fc.nat(3), fc.array(fc.nat(3), { maxLength: 3 }))
  .map(([by, count, points]) => ['c', by, count, '*', points.length, ...points].join(' '))

/** Texts that may or may not be conditions: compiled ones with damage, and others. */
export function garbageFrom(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const marks = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 })
  return fc.oneof(
    fc.tuple(texts, editsOf(pieces)).map(([text, edits]) => edited(text, edits, ' ')),
    fc.tuple(texts, editsOf(marks)).map(([text, edits]) => edited(text, edits, '')),
    fc.tuple(texts, pieces).map(([text, token]) => text.replace('*', token)),
    fc.tuple(texts, fc.nat(5)).map(([text, depth]) => `${'a 1 '.repeat(depth)}${text}`),
    fc.array(pieces, { maxLength: 8 }).map((tokens) => tokens.join(' ')),
    fc.nat(2000).map((leaves) => `o ${leaves}${' s 0 *'.repeat(leaves)}`),
    percents,
    countTexts,
  )
}
