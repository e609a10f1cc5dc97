// What signals contribute to a resume condition; see also condition-node.
import type { ConditionNode, CountNode, NodeMatcher, SingleNode } from './condition-node.ts'

/** What a condition may ask about a signal; an absent text is empty. */
export interface OfferedSignal {
  /** Index of its waitpoint, from 0. */
  readonly point: number
  readonly id: string
  readonly name: string
  readonly category: string
  readonly source: string
  readonly identity: string
  readonly correlation: string
}

/**
 * What a signal does to a condition: adds to it, repeats what was there, is heard but does not
 * match, or is not heard at all. The strongest over the leaves on its waitpoint, in this order.
 */
export type SignalEffect = 'new' | 'dup' | 'mismatch' | 'none'

export interface Contribution {
  readonly effect: SignalEffect
  /** The tokens that the signal adds: `<path>|<identity>`, in the order of paths. */
  readonly additions: readonly string[]
}

const strengths: readonly SignalEffect[] = ['none', 'mismatch', 'dup', 'new']

function matches(match: NodeMatcher, signal: OfferedSignal): boolean {
  return (
    (match.names?.includes(signal.name) ?? true) &&
    (match.category === undefined || match.category === signal.category) &&
    (match.source === undefined || match.source === signal.source) &&
    (match.correlation === undefined || match.correlation === signal.correlation)
  )
}

/** What a signal counts as at one leaf; undefined when it counts for nothing. */
function identityAt(leaf: SingleNode | CountNode, signal: OfferedSignal): string | undefined {
  if (!matches(leaf.match, signal)) return undefined
  if (leaf.kind === 'single') return 'x'
  switch (leaf.by) {
    case 'w':
      return String(signal.point)
    case 's':
      return signal.id
    case 'i': {
      if (signal.identity === '') return undefined
      // The length keeps source and identity apart, whatever they contain.
      return `${Buffer.byteLength(signal.source)}:${signal.source}${signal.identity}`
    }
  }
}

/** What a signal does to a condition whose earlier signals left `tokens`. */
export function offerSignal(
  node: ConditionNode,
  signal: OfferedSignal,
  tokens: { has(token: string): boolean },
): Contribution {
  const additions: string[] = []
  const offer = (at: ConditionNode): SignalEffect => {
    if (at.kind === 'operator' || at.kind === 'timeout') return 'none'
    if ('members' in at) {
      const ranks = at.members.map((member) => strengths.indexOf(offer(member)))
      return strengths[Math.max(...ranks)] as SignalEffect
    }
    const hears = at.kind === 'single' ? at.point === signal.point : at.listens.has(signal.point)
    if (!hears) return 'none'
    const identity = identityAt(at, signal)
    if (identity === undefined) return 'mismatch'
    const token = `${at.path}|${identity}`
    if (tokens.has(token)) return 'dup'
    additions.push(token)
    return 'new'
  }
  return { effect: offer(node), additions }
}

/** How many tokens each leaf has, by its path. */
export function tallyTokens(tokens: Iterable<string>): ReadonlyMap<string, number> {
  const tally = new Map<string, number>()
  for (const token of tokens) {
    const path = token.slice(0, token.indexOf('|'))
    tally.set(path, (tally.get(path) ?? 0) + 1)
  }
  return tally
}

/** Whether so many tokens meet the condition. Composites are worked out anew each time. */
export function isSatisfied(node: ConditionNode, tally: ReadonlyMap<string, number>): boolean {
  switch (node.kind) {
    case 'single':
      return (tally.get(node.path) ?? 0) >= 1
    case 'count':
      return (tally.get(node.path) ?? 0) >= node.count
    case 'all':
      return node.members.every((member) => isSatisfied(member, tally))
    case 'any':
      return node.members.some((member) => isSatisfied(member, tally))
    default:
      return false
  }
}
