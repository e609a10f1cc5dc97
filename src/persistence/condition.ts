// Resume conditions as callers write them: checked, and compiled into the text that is stored.
import { bytesMax, counts } from '../limits.ts'
import {
  type Fields,
  fieldsOf,
  inside,
  listOf,
  matcherOf,
  refuse,
  shown,
} from './condition-matcher.ts'
import { parseCondition } from './condition-node.ts'

/** Through whom a signal came, as one word; applications may use words of their own. */
export type SignalSource =
  | 'external_api'
  | 'webhook'
  | 'operator'
  | 'engine'
  | 'worker'
  | 'flow_coordinator'
  | (string & {})

/** What a signal must look like. Every field that is there must fit; none is any signal. */
export interface SignalMatcher {
  /** One of these names. */
  readonly names?: readonly string[] | undefined
  readonly category?: string | undefined
  readonly source?: SignalSource | undefined
  /** Text of 1 to 256 bytes. */
  readonly correlationId?: string | undefined
}

/**
 * When a suspended execution goes on.
 *
 * - `single`: one fitting signal at one waitpoint.
 * - `any`, `all`: one of the conditions, or every one; at most four deep. One signal counts
 *   wherever it fits: two conditions on the same waitpoint may both be met by one signal.
 * - `count`: fitting signals at any of the waitpoints, from so many distinct waitpoints, as so many
 *   distinct signals, or from so many distinct sources. A source is the signal's source together
 *   with its identity; a signal without an identity does not count as one.
 * - `operator`, `timeout`: no signal ever meets it, only an operator or the time limit. They stand
 *   alone.
 */
export type ResumeCondition =
  | {
      readonly kind: 'single'
      /** Key of the waitpoint. */
      readonly waitpoint: string
      readonly match?: SignalMatcher | undefined
    }
  | { readonly kind: 'any' | 'all'; readonly of: readonly ResumeCondition[] }
  | {
      readonly kind: 'count'
      readonly count: number
      readonly of: 'waitpoints' | 'signals' | 'sources'
      /** Keys of waitpoints. */
      readonly waitpoints: readonly string[]
      readonly match?: SignalMatcher | undefined
    }
  | { readonly kind: 'operator' }
  | { readonly kind: 'timeout' }

const letters = { waitpoints: 'w', signals: 's', sources: 'i' } as const

/** Writes one condition as tokens, refusing what breaks a rule where it stands. */
class Compiler {
  readonly tokens: string[] = []
  readonly referenced = new Set<number>()
  private length = 0
  private readonly keys: readonly string[]

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  node(value: unknown, path: string, depth: number): void {
    const kind = typeof value === 'object' && value !== null && 'kind' in value && value.kind
    if (kind === 'single') {
      this.single(fieldsOf(value, path, ['kind', 'waitpoint', 'match']), path)
    } else if (kind === 'count') {
      this.count(fieldsOf(value, path, ['kind', 'count', 'of', 'waitpoints', 'match']), path)
    } else if (kind === 'any' || kind === 'all') {
      this.composite(kind, fieldsOf(value, path, ['kind', 'of']), path, depth)
    } else if (kind !== 'operator' && kind !== 'timeout') {
      refuse('unknown_kind', path, `is of the unknown kind "${shown(kind)}"`)
    } else if (path !== '') {
      refuse('misplaced_kind', path, `is "${kind}", which must stand alone`)
    } else {
      fieldsOf(value, path, ['kind'])
      this.write(kind)
    }
  }

  private write(...tokens: readonly (string | number)[]): void {
    for (const token of tokens.map(String)) {
      this.tokens.push(token)
      this.length += Buffer.byteLength(token) + 1
    }
    // The space after the last token is not part of the text.
    if (this.length - 1 <= bytesMax.condition) return
    const limit = bytesMax.condition
    refuse('condition_size_exceeded', '', `is larger than ${limit} bytes`, { limit })
  }

  private point(key: unknown, path: string): number {
    const point = this.keys.indexOf(key as string)
    if (point < 0) {
      const given = shown(key)
      refuse('unknown_waitpoint', path, `names "${given}", which is no waitpoint`, { given })
    }
    this.referenced.add(point)
    return point
  }

  private single({ waitpoint, match }: Fields, path: string): void {
    const point = this.point(waitpoint, inside(path, 'waitpoint'))
    this.write('s', point, matcherOf(match, inside(path, 'match')))
  }

  private count({ count, of, waitpoints, match }: Fields, path: string): void {
    const by = letterOf(of, inside(path, 'of'))
    const listPath = inside(path, 'waitpoints')
    const keys = listOf(waitpoints, listPath)
    if (keys.length === 0) refuse('empty_waitpoints', listPath, 'names no waitpoint')
    const points = keys.map((key, position) => this.point(key, `${listPath}[${position}]`))
    if (new Set(points).size < points.length) {
      refuse('duplicate_waitpoints', listPath, 'names a waitpoint twice')
    }
    checkCount(count, by === 'w' ? points.length : undefined, inside(path, 'count'))
    const matcher = matcherOf(match, inside(path, 'match'))
    this.write('c', by, count as number, matcher, points.length, ...points)
  }

  private composite(kind: 'any' | 'all', { of }: Fields, path: string, depth: number): void {
    const limit = counts.conditionDepthMax
    if (depth > limit) {
      refuse('condition_depth_exceeded', path, `is nested ${depth} deep`, { depth, limit })
    }
    const members = listOf(of, inside(path, 'of'))
    if (members.length === 0) refuse('empty_members', inside(path, 'of'), 'has no members')
    this.write(kind === 'all' ? 'a' : 'o', members.length)
    for (const [position, member] of members.entries()) {
      this.node(member, inside(path, `of[${position}]`), depth + 1)
    }
  }
}

function letterOf(counted: unknown, path: string): string {
  const letter = Object.entries(letters).find(([name]) => name === counted)?.[1]
  const given = shown(counted)
  return letter ?? refuse('unknown_count', path, `is "${given}", which is not counted`, { given })
}

function checkCount(count: unknown, waitpoints: number | undefined, path: string): void {
  if (count === 0) refuse('count_zero', path, 'would be met before any signal')
  if (!Number.isSafeInteger(count) || (count as number) < 0) {
    refuse('count_not_whole', path, 'is not a whole number', { given: shown(count) })
  }
  const limit = counts.conditionSignalsMax
  if ((count as number) > limit) {
    refuse('too_many_signals', path, `needs more than ${limit} signals`, { count, limit })
  }
  if (waitpoints !== undefined && (count as number) > waitpoints) {
    const values = { count, waitpoints }
    refuse('count_exceeds_waitpoints', path, `is ${count} of ${waitpoints} waitpoints`, values)
  }
}

/**
 * Checks a condition on the waitpoints of these keys and writes it as the text that is stored.
 *
 * Throws `invalid_resume_condition` with the broken `rule` and the `path` of where it is broken,
 * such as `of[0].of[1]`. Nothing is accepted that signals could never meet. Every key must be used,
 * except when no signal is to resume the execution: what arrives there is then only recorded.
 */
export function compileCondition(condition: ResumeCondition, keys: readonly string[]): string {
  const twice = keys.find((key, position) => keys.indexOf(key) !== position)
  if (twice !== undefined) refuse('duplicate_keys', '', `has two waitpoints "${twice}"`)
  const compiler = new Compiler(keys)
  compiler.node(condition, '', 1)
  const text = compiler.tokens.join(' ')
  const idle = keys.find((_, point) => !compiler.referenced.has(point))
  if (idle !== undefined && compiler.referenced.size > 0) {
    refuse('waitpoint_not_referenced', '', `does not use "${idle}"`, { waitpoint: idle })
  }
  const node = parseCondition(text, keys.length)
  if (typeof node === 'string') {
    const limit = counts.conditionSignalsMax
    refuse(node, '', node === 'too_many_signals' ? `needs over ${limit} signals` : 'is wrong')
  }
  return text
}
