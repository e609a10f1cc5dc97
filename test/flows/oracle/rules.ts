// The decisions of a flow, one pure function each; a mutant replaces one of them.
import type { NodeState } from '../vocabulary.ts'
import { type Edge, type Flow, type Group, hasEnded, type Node, type Tally } from './model.ts'

type Verdict = 'pending' | 'satisfied' | 'impossible'

/** What an ended upstream says to its downstream. */
function voteOf(kind: Edge['kind'], ending: NodeState): Edge['vote'] {
  if (kind === 'completion' || ending === 'completed') return 's'
  return ending === 'skipped' ? 'x' : 'f'
}

/** Whether a sealed group is decided. */
function verdictOf(group: Group, { n, s, f, x }: Tally): Verdict {
  if (n === 0) return 'satisfied'
  if (group.policy === 'all') {
    if (s === n) return 'satisfied'
    const isDecided = group.collect !== 'all' || s + f + x === n
    return f + x > 0 && isDecided ? 'impossible' : 'pending'
  }
  const k = group.policy === 'any' ? 1 : group.k
  if (s >= k) return 'satisfied'
  return f + x > n - k ? 'impossible' : 'pending'
}

/** What becomes of a downstream whose group is impossible; work that has begun is not skipped. */
function whenImpossible(group: Group, isParent: boolean): 'skip' | 'resume' | 'fail' {
  const wanted = group.impossible ?? 'skip'
  return wanted === 'skip' && isParent ? 'resume' : wanted
}

/** Where work belongs that nobody holds. */
function placeOf(node: Node, nowMs: number): NodeState {
  if (node.blocked || node.withheld) return 'blocked'
  if (node.gated) return 'waiting_children'
  return node.dueMs !== undefined && node.dueMs > nowMs ? 'delayed' : 'waiting'
}

function isClaimable(node: Node, flow: Flow): boolean {
  return isFree(node) && flow.state === 'open'
}

/** Whether a claim comes upon it. */
function isFree(node: Node): boolean {
  return node.state === 'waiting' || (node.state === 'active' && !node.held)
}

/** Whether the flow's ending takes this member with it. */
function isDoomed(node: Node, flow: Flow): boolean {
  if (hasEnded(node)) return false
  if (flow.state === 'failed') return flow.failure === 'fail_fast'
  if (flow.state !== 'cancelled' || flow.cancelPolicy === 'flow_only') return false
  return flow.cancelPolicy === 'cancel_all' || !node.held
}

function isBad({ state, reason }: Node): boolean {
  if (state === 'cancelled') return reason !== 'no_longer_needed'
  return state === 'failed' || state === 'expired'
}

/** How an open flow ends now; undefined while it does not. */
function flowEnd(
  flow: Flow,
  nodes: readonly Node[],
  bad: (node: Node) => boolean,
): 'completed' | 'failed' | undefined {
  if (flow.state !== 'open' || !flow.sealed || nodes.length === 0) return undefined
  if (!nodes.every(hasEnded)) return undefined
  if (flow.completion === 'all') return nodes.some(bad) ? 'failed' : 'completed'
  const root = nodes.find(({ name }) => name === flow.root)
  return root?.state === 'completed' ? 'completed' : 'failed'
}

/**
 * Whether nobody needs this upstream any more: a group was decided without it and wants it gone,
 * and no other group still counts on it.
 */
function isNeedless(node: Node, out: readonly Edge[], groups: readonly Group[], flow: Flow) {
  if (hasEnded(node) || node.name === flow.root) return false
  const isOwed = out.some(({ vote, spared }) => vote === 'u' && spared)
  return isOwed && groups.every(({ state }) => state !== 'pending')
}

/** Why an edge may not be added to this downstream. */
function linkRefusal(at: {
  readonly isNew: boolean
  readonly group: Group | undefined
  readonly isOwnParent: boolean
}): 'group_sealed' | undefined {
  if (at.isNew || at.isOwnParent) return undefined
  return at.group?.sealed === false ? undefined : 'group_sealed'
}

/** Which edges a parent's next round counts; undefined when the present round goes on. */
function newRound(group: Group, edges: readonly Edge[]): readonly Edge[] | undefined {
  if (group.state === 'pending') return undefined
  return edges.filter(({ vote, isChild }) => vote === 'u' && (isChild || !group.dynamic))
}

/**
 * Whether a downstream forgets the vote of an upstream that runs again. A parent does not: which
 * of its rounds a vote belongs to is not kept.
 */
function takesBack(down: Node, group: Group): boolean {
  return down.gated && group.state === 'pending' && !group.dynamic && !group.laterRound
}

export const rules = {
  voteOf,
  verdictOf,
  whenImpossible,
  placeOf,
  isClaimable,
  isFree,
  isDoomed,
  isBad,
  flowEnd,
  isNeedless,
  linkRefusal,
  newRound,
  takesBack,
}

export type Rules = typeof rules
