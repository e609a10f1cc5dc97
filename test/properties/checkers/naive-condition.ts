// What a resume condition means, straight from its definition: over all signals, from the start.
import {
  type ConditionNode,
  type CountNode,
  parseCondition,
  type SingleNode,
} from '../../../src/persistence/condition-node.ts'
import type { Dump } from '../../support/canonical.ts'
import { type Signal, type Suspension, signalsOf } from '../waiting.ts'

type Leaf = SingleNode | CountNode

/** The condition of a suspension, and the signals that were accepted on its waitpoints. */
export interface Episode {
  readonly tree: ConditionNode
  readonly signals: readonly Signal[]
  readonly ids: readonly string[]
}

export function episodeOf(dump: Dump, id: string, s: Suspension): Episode {
  const tree = parseCondition(s.f.get('condition') ?? '', s.ids.length)
  if (typeof tree === 'string') throw new Error(`the stored condition of ${id} is ${tree}`)
  const isOurs = ({ id: name, waitpoint }: Signal) =>
    s.ids.includes(waitpoint) && !name.startsWith('timeout:')
  return { tree, ids: s.ids, signals: signalsOf(dump, id).filter(isOurs) }
}

function fits({ match }: Leaf, signal: Signal): boolean {
  if (match.names !== undefined && !match.names.includes(signal.name)) return false
  if (match.category !== undefined && match.category !== signal.category) return false
  if (match.source !== undefined && match.source !== signal.source) return false
  return match.correlation === undefined || match.correlation === signal.correlation
}

function hears(leaf: Leaf, point: number): boolean {
  return leaf.kind === 'single' ? leaf.point === point : leaf.listens.has(point)
}

/** What the signal counts as at a leaf that hears it; undefined for nothing. */
function identityOf(leaf: Leaf, signal: Signal, point: number): string | undefined {
  if (!fits(leaf, signal)) return undefined
  if (leaf.kind === 'single') return 'x'
  if (leaf.by === 'w') return `${point}`
  if (leaf.by === 's') return signal.id
  if (signal.identity === '') return undefined
  return `${Buffer.byteLength(signal.source)}:${signal.source}${signal.identity}`
}

/** Whether the condition holds over the signals. */
export function holds({ tree, signals, ids }: Episode): boolean {
  const at = (node: ConditionNode): boolean => {
    if (node.kind === 'all') return node.members.every(at)
    if (node.kind === 'any') return node.members.some(at)
    if (node.kind !== 'single' && node.kind !== 'count') return false
    const found = new Set<string>()
    for (const signal of signals) {
      const point = ids.indexOf(signal.waitpoint)
      const identity = hears(node, point) ? identityOf(node, signal, point) : undefined
      if (identity !== undefined) found.add(identity)
    }
    return found.size >= (node.kind === 'single' ? 1 : node.count)
  }
  return at(tree)
}

function leavesOf(node: ConditionNode): readonly Leaf[] {
  if (node.kind === 'all' || node.kind === 'any') return node.members.flatMap(leavesOf)
  return node.kind === 'single' || node.kind === 'count' ? [node] : []
}

/** `path|identity` → the first signal that counts as it; and what each signal did, by position. */
export function contributions({ tree, signals, ids }: Episode) {
  const leaves = leavesOf(tree)
  const tokens = new Map<string, number>()
  const effects = new Map<number, string>()
  for (const signal of signals) {
    const point = ids.indexOf(signal.waitpoint)
    const heard = leaves.filter((leaf) => hears(leaf, point))
    const named = heard.flatMap((leaf) => {
      const identity = identityOf(leaf, signal, point)
      return identity === undefined ? [] : [`${leaf.path}|${identity}`]
    })
    const added = named.filter((token) => !tokens.has(token))
    for (const token of added) tokens.set(token, signal.position)
    const told =
      (added.length > 0 && 'appended_to_waitpoint') ||
      (named.length > 0 && 'appended_to_waitpoint_duplicate') ||
      (heard.length > 0 && 'signal_ignored_matcher_failed')
    effects.set(signal.position, told || 'signal_ignored_not_in_condition')
  }
  return { tokens, effects }
}
