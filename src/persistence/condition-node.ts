// Reads the stored text of a resume condition, strictly; with condition-offer the twin of
// lua/lib/condition.lua, where the text is described.
import { bytesMax, counts } from '../limits.ts'
import { wordProblem } from './word.ts'

/** The rule that a refused condition breaks. */
export type ConditionRule =
  | 'condition_depth_exceeded'
  | 'condition_size_exceeded'
  | 'count_exceeds_waitpoints'
  | 'count_zero'
  | 'duplicate_waitpoints'
  | 'empty_members'
  | 'empty_waitpoints'
  | 'invalid_correlation_id'
  | 'malformed'
  | 'misplaced_kind'
  | 'not_a_word'
  | 'reserved_word'
  | 'too_many_signals'
  | 'unknown_waitpoint'

/** What a leaf asks of a signal; an absent field asks nothing. */
export interface NodeMatcher {
  readonly names?: readonly string[]
  readonly category?: string
  readonly source?: string
  readonly correlation?: string
}

export interface SingleNode {
  readonly kind: 'single'
  readonly path: string
  readonly point: number
  readonly match: NodeMatcher
}

export interface CountNode {
  readonly kind: 'count'
  readonly path: string
  /** What is counted: distinct waitpoints, signals, or senders (their identities). */
  readonly by: 'w' | 's' | 'i'
  readonly count: number
  readonly listens: ReadonlySet<number>
  readonly match: NodeMatcher
}

export interface CompositeNode {
  readonly kind: 'any' | 'all'
  readonly path: string
  readonly members: readonly ConditionNode[]
}

/** A condition as it is evaluated; waitpoints are indexes, paths name the nodes. */
export type ConditionNode =
  | SingleNode
  | CountNode
  | CompositeNode
  | { readonly kind: 'operator'; readonly path: '' }
  | { readonly kind: 'timeout'; readonly path: '' }

/** The text of a correlation id on the wire: one spelling for each. */
export function percentEncode(text: string): string {
  const escaped = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return text.replace(/[^\w.~-]/gu, (mark) => [...Buffer.from(mark)].map(escaped).join(''))
}

function percentDecode(text: string): string | undefined {
  if (!/^(?:[\w.~-]|%[0-9A-F]{2})+$/.test(text)) return undefined
  try {
    const decoded = decodeURIComponent(text)
    const fits = Buffer.byteLength(decoded) <= bytesMax.label && percentEncode(decoded) === text
    return fits ? decoded : undefined
  } catch {
    return undefined
  }
}

/** Words that no sender may use: whoever waits for one would wait for ever. */
export function isReserved(letter: string, word: string): boolean {
  if (letter === 'n') return word.startsWith('__')
  return word === (letter === 'c' ? 'timeout' : 'engine')
}

function readField(letter: string, text: string): NodeMatcher | ConditionRule {
  if (letter === 'r') {
    const correlation = percentDecode(text)
    return correlation === undefined ? 'invalid_correlation_id' : { correlation }
  }
  const words = letter === 'n' ? text.split(',') : [text]
  if (words.some((word) => wordProblem(word) !== undefined)) return 'not_a_word'
  if (words.some((word) => isReserved(letter, word))) return 'reserved_word'
  if (letter === 'n') return { names: words }
  return letter === 'c' ? { category: text } : { source: text }
}

function readMatcher(token: string): NodeMatcher | ConditionRule {
  let match: NodeMatcher = {}
  if (token === '*') return match
  let last = -1
  for (const field of token.split('|')) {
    const order = field[1] === ':' ? 'nctr'.indexOf(field.charAt(0)) : -1
    if (order <= last) return 'malformed'
    last = order
    const read = readField(field.charAt(0), field.slice(2))
    if (typeof read === 'string') return read
    match = { ...match, ...read }
  }
  return match
}

/** Reads tokens from left to right; every part is what was read, or the rule that it breaks. */
class Reader {
  private at = -1
  /** Signals that the leaves read so far need at most. */
  needed = 0
  private readonly tokens: readonly string[]
  private readonly points: number

  constructor(tokens: readonly string[], points: number) {
    this.tokens = tokens
    this.points = points
  }

  get isDone(): boolean {
    return this.at >= this.tokens.length - 1
  }

  node(path: string, depth: number): ConditionNode | ConditionRule {
    const letter = this.take()
    switch (letter) {
      case 's':
        return this.single(path)
      case 'c':
        return this.count(path)
      case 'a':
      case 'o':
        return this.composite(letter === 'a' ? 'all' : 'any', path, depth)
      default:
        return letter === 'operator' || letter === 'timeout' ? 'misplaced_kind' : 'malformed'
    }
  }

  private take(): string {
    this.at += 1
    return this.tokens[this.at] ?? ''
  }

  private whole(): number | 'malformed' {
    const token = this.take()
    return /^(?:0|[1-9]\d{0,3})$/.test(token) ? Number(token) : 'malformed'
  }

  private point(): number | ConditionRule {
    const point = this.whole()
    return typeof point === 'number' && point >= this.points ? 'unknown_waitpoint' : point
  }

  private single(path: string): SingleNode | ConditionRule {
    const point = this.point()
    if (typeof point === 'string') return point
    const match = readMatcher(this.take())
    if (typeof match === 'string') return match
    this.needed += 1
    return { kind: 'single', path, point, match }
  }

  private count(path: string): CountNode | ConditionRule {
    const by = this.take()
    if (by !== 'w' && by !== 's' && by !== 'i') return 'malformed'
    const count = this.whole()
    if (typeof count === 'string') return count
    if (count === 0) return 'count_zero'
    const match = readMatcher(this.take())
    if (typeof match === 'string') return match
    const listens = this.listens()
    if (typeof listens === 'string') return listens
    if (by === 'w' && count > listens.size) return 'count_exceeds_waitpoints'
    this.needed += count
    return { kind: 'count', path, by, count, listens, match }
  }

  private listens(): ReadonlySet<number> | ConditionRule {
    const size = this.whole()
    if (typeof size === 'string') return size
    if (size === 0) return 'empty_waitpoints'
    const listens = new Set<number>()
    for (let position = 0; position < size; position++) {
      const point = this.point()
      if (typeof point === 'string') return point
      if (listens.has(point)) return 'duplicate_waitpoints'
      listens.add(point)
    }
    return listens
  }

  private composite(
    kind: 'any' | 'all',
    path: string,
    depth: number,
  ): CompositeNode | ConditionRule {
    if (depth > counts.conditionDepthMax) return 'condition_depth_exceeded'
    const size = this.whole()
    if (typeof size === 'string') return size
    if (size === 0) return 'empty_members'
    const members: ConditionNode[] = []
    for (let position = 0; position < size; position++) {
      const member = this.node(path === '' ? `${position}` : `${path}.${position}`, depth + 1)
      if (typeof member === 'string') return member
      members.push(member)
    }
    return { kind, path, members }
  }
}

/**
 * Reads a condition on so many waitpoints, or returns the rule that it breaks. What is read can be
 * met, but for `operator` and `timeout`, which no signal ever meets.
 */
export function parseCondition(text: string, points: number): ConditionNode | ConditionRule {
  const bytes = Buffer.from(text)
  if (bytes.byteLength > bytesMax.condition) return 'condition_size_exceeded'
  // Half a surrogate pair would become another text on its way to a server.
  if (/^ | {2}| $/.test(text) || bytes.toString() !== text) return 'malformed'
  if (text === 'operator' || text === 'timeout') return { kind: text, path: '' }
  const reader = new Reader(text.split(' '), points)
  const node = reader.node('', 1)
  if (typeof node === 'string') return node
  if (!reader.isDone) return 'malformed'
  return reader.needed > counts.conditionSignalsMax ? 'too_many_signals' : node
}
