// What follows from what happened: the rules are applied until they change nothing more.
import type { NodeState } from '../vocabulary.ts'
import {
  type Edge,
  edgesFrom,
  edgesInto,
  type Group,
  hasEnded,
  type Node,
  tallyOf,
  type World,
} from './model.ts'
import type { Rules } from './rules.ts'

export function end(world: World, rules: Rules, node: Node, state: NodeState, reason?: string) {
  Object.assign(node, { state, reason })
  Object.assign(node, {
    held: false,
    parked: false,
    blocked: false,
    gated: false,
    dueMs: undefined,
  })
  world.untold.push(node.name)
  const group = world.groups.get(node.name)
  if (group?.state === 'pending') group.state = 'closed'
  const { flow } = world
  if (flow?.state === 'open' && flow.failure === 'fail_fast' && rules.isBad(node)) {
    flow.state = 'failed'
  }
}

/** Puts work that nobody holds where it belongs. */
export function place(world: World, rules: Rules, node: Node): void {
  node.held = false
  node.state = rules.placeOf(node, world.nowMs)
  if (node.state === 'waiting') node.dueMs = undefined
}

/** A round that is over is followed by the next one, about what is left and what comes. */
export function startRound(world: World, rules: Rules, group: Group): void {
  const edges = edgesInto(world, group.down)
  const counted = rules.newRound(group, edges)
  if (counted === undefined) return
  for (const edge of edges) {
    Object.assign(edge, { counted: counted.includes(edge), spared: false })
  }
  Object.assign(group, { state: 'pending', remaining: 'run', laterRound: true })
}

/** Each pass tells whether it changed anything. */
type Pass = (world: World, rules: Rules) => boolean

const doom: Pass = (world, rules) => {
  const { flow } = world
  const doomed = [...world.nodes.values()].filter((node) => flow && rules.isDoomed(node, flow))
  for (const node of doomed) end(world, rules, node, 'cancelled', 'flow_cancelled')
  return doomed.length > 0
}

/** Answers whether any vote was missing. */
function cast(world: World, rules: Rules, edges: readonly Edge[]): boolean {
  const upOf = ({ up }: Edge) => world.nodes.get(up) as Node
  const missing = edges.filter((edge) => edge.vote === 'u' && hasEnded(upOf(edge)))
  for (const edge of missing) edge.vote = rules.voteOf(edge.kind, upOf(edge).state)
  return missing.length > 0
}

/** Endings are told in their order: what one of them decides comes before the next. */
const vote: Pass = (world, rules) => {
  for (let ended = world.untold.shift(); ended !== undefined; ended = world.untold.shift()) {
    if (cast(world, rules, edgesFrom(world, ended))) return true
  }
  return false
}

function decideOne(world: World, rules: Rules, group: Group): boolean {
  const node = world.nodes.get(group.down) as Node
  if (group.state !== 'pending' || !group.sealed || !node.gated) return false
  const edges = edgesInto(world, group.down)
  const verdict = rules.verdictOf(group, tallyOf(edges))
  if (verdict === 'pending') return false
  group.state = verdict
  if (group.remaining === 'cancel' && group.policy !== 'all') {
    for (const edge of edges) edge.spared = edge.vote === 'u'
  }
  const effect = verdict === 'satisfied' ? 'resume' : rules.whenImpossible(group, node.parked)
  if (effect === 'resume') {
    node.gated = false
    place(world, rules, node)
  } else {
    end(world, rules, node, effect === 'skip' ? 'skipped' : 'failed', 'dependency_failed')
  }
  return true
}

const decide: Pass = (world, rules) => {
  // One at a time: what it leads to may decide about others in another way.
  return [...world.groups.values()].some((group) => decideOne(world, rules, group))
}

/** What a change of the graph decides by itself comes first, and only then what follows from it. */
export function settleSealed(world: World, rules: Rules, downs: readonly string[]): void {
  cast(world, rules, world.edges)
  for (const down of downs) {
    const group = world.groups.get(down)
    if (group !== undefined) decideOne(world, rules, group)
    doom(world, rules)
  }
}

const spare: Pass = (world, rules) => {
  for (const node of world.nodes.values()) {
    const out = edgesFrom(world, node.name)
    const groups = out.flatMap(({ down }) => world.groups.get(down) ?? [])
    if (!world.flow || !rules.isNeedless(node, out, groups, world.flow)) continue
    end(world, rules, node, 'cancelled', 'no_longer_needed')
    return true
  }
  return false
}

const passes: readonly Pass[] = [doom, decide, vote, spare]

export function settle(world: World, rules: Rules): void {
  // Each time from the first rule on.
  const change = () => passes.some((pass) => pass(world, rules))
  for (let left = world.passesMax; left > 0 && change(); left--);
  const { flow } = world
  const nodes = [...world.nodes.values()]
  if (flow !== undefined) flow.state = rules.flowEnd(flow, nodes, rules.isBad) ?? flow.state
}
