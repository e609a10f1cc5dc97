// Running ended nodes again: one, or one with all that failed because of it.
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
import { Refusal } from './refusal.ts'
import type { Rules } from './rules.ts'
import { place, settle } from './settle.ts'

const replaysMax = 10

export function replay(world: World, rules: Rules, name: string, reopen: boolean): void {
  checkReplay(world, rules, name, reopen)
  restart(world, rules, name)
  settle(world, rules)
}

/** Goes on from each node that runs again to those below it that were given up. */
export function replaySubgraph(world: World, rules: Rules, name: string): void {
  checkReplay(world, rules, name, true)
  restart(world, rules, name)
  const again = new Set([name])
  const below = () =>
    [...world.nodes.values()].find(
      (node) =>
        node.reason === 'dependency_failed' &&
        node.replays < replaysMax &&
        edgesInto(world, node.name).some(({ up }) => again.has(up)) &&
        !isOutOfReach(world, rules, node.name),
    )
  for (let node = below(); node !== undefined; node = below()) {
    restart(world, rules, node.name)
    again.add(node.name)
  }
  settle(world, rules)
}

function checkReplay(world: World, rules: Rules, name: string, reopen: boolean): void {
  const { flow } = world
  const node = world.nodes.get(name)
  if (flow === undefined || node === undefined) throw new Refusal('execution_not_found')
  if (!hasEnded(node)) throw new Refusal('execution_not_terminal')
  if (flow.state === 'cancelled') throw new Refusal('flow_ended')
  if (flow.state !== 'open' && !reopen) throw new Refusal('flow_ended')
  if (node.replays >= replaysMax) throw new Refusal('max_replays_exhausted')
  if (isOutOfReach(world, rules, name)) throw new Refusal('dependency_failed')
}

/** The edges into a node as they would be if they were counted now. */
function recounted(world: World, rules: Rules, name: string): Edge[] {
  return edgesInto(world, name).map((edge) => {
    const up = world.nodes.get(edge.up) as Node
    const vote = hasEnded(up) ? rules.voteOf(edge.kind, up.state) : 'u'
    return { ...edge, vote, counted: true, spared: false }
  })
}

function staticGroup(world: World, name: string): Group | undefined {
  const group = world.groups.get(name)
  return group?.dynamic ? undefined : group
}

function isOutOfReach(world: World, rules: Rules, name: string): boolean {
  const group = staticGroup(world, name)
  if (group === undefined || !group.sealed) return false
  if (rules.whenImpossible(group, false) === 'resume') return false
  return rules.verdictOf(group, tallyOf(recounted(world, rules, name))) === 'impossible'
}

function restart(world: World, rules: Rules, name: string): void {
  const node = world.nodes.get(name) as Node
  const { flow } = world
  if (flow !== undefined) flow.state = 'open'
  const group = staticGroup(world, name)
  if (group !== undefined) {
    const edges = recounted(world, rules, name)
    for (const edge of edgesInto(world, name)) Object.assign(edge, edges.shift())
    Object.assign(group, { state: 'pending', laterRound: false })
  }
  Object.assign(node, { gated: group !== undefined, reason: undefined })
  // A deadline that has passed would end it again at once.
  if ((node.deadlineMs ?? world.nowMs) <= world.nowMs) node.deadlineMs = undefined
  node.replays += 1
  place(world, rules, node)
  for (const edge of edgesFrom(world, name)) {
    const below = world.groups.get(edge.down) as Group
    if (!rules.takesBack(world.nodes.get(edge.down) as Node, below)) continue
    Object.assign(edge, { vote: 'u', counted: true })
  }
}
