// Adding to a flow: everything is checked before anything is added.
import type { ApplyPlan, EdgePlan, GroupPlan, NodePlan } from '../vocabulary.ts'
import { addEdge, edgesFrom, edgesInto, type Group, type Node, type World } from './model.ts'
import { Refusal } from './refusal.ts'
import type { Rules } from './rules.ts'
import { place, settle, settleSealed, startRound } from './settle.ts'

/** Answers with how many nodes and edges were new; `parent` is the running one that adds. */
export function apply(world: World, rules: Rules, plan: ApplyPlan, parent?: string) {
  const { flow } = world
  if (flow === undefined) throw new Refusal('flow_not_found')
  const nodes = (plan.nodes ?? []).filter(({ name }) => !world.nodes.has(name))
  const names = new Set(nodes.map(({ name }) => name))
  const groups = (plan.groups ?? []).filter((group) => isNewGroup(world, group, names))
  const edges = newEdges(world, rules, plan, names, parent)
  const seals = checkSeals(world, plan, { nodes, edges, groups })
  const isNew = nodes.length + edges.length + seals.length > 0
  if (isNew && flow.state !== 'open') throw new Refusal('flow_ended')
  checkCycles(world, edges)

  for (const node of nodes) world.nodes.set(node.name, created(world, node, edges))
  for (const node of nodes) makeGroup(world, node, edges, groups)
  for (const edge of edges) {
    if (edge.down === parent) prepareParent(world, rules, parent)
    const isChild = edge.down === parent
    addEdge(world, { ...withDefaults(edge), isChild, vote: 'u', counted: true, spared: false })
  }
  for (const { down, ...wanted } of groups) {
    Object.assign(world.groups.get(down) as Group, { remaining: 'run', ...wanted })
  }
  for (const down of plan.seal ?? []) Object.assign(world.groups.get(down) ?? {}, { sealed: true })
  if (plan.finish) flow.sealed = true
  for (const { name } of nodes) place(world, rules, world.nodes.get(name) as Node)
  const whole = nodes.flatMap(({ name, hold }) => (hold ? [] : name))
  settleSealed(world, rules, [...(plan.seal ?? []), ...whole])
  settle(world, rules)
  return { added: nodes.length, linked: edges.length }
}

const withDefaults = ({ up, down, kind = 'success', name = '' }: EdgePlan) => ({
  up,
  down,
  kind,
  name,
})

const sameEnds = (a: EdgePlan, b: EdgePlan) => a.up === b.up && a.down === b.down

/** The edges of a plan that are not there yet. */
function newEdges(
  world: World,
  rules: Rules,
  plan: ApplyPlan,
  names: ReadonlySet<string>,
  parent: string | undefined,
): EdgePlan[] {
  const found: EdgePlan[] = []
  for (const edge of plan.edges ?? []) {
    const known = [...edgesInto(world, edge.down), ...found].find((other) => sameEnds(edge, other))
    if (edge.up === edge.down) throw new Refusal('graph_cycle')
    if (known !== undefined) {
      const [before, now] = [withDefaults(known), withDefaults(edge)]
      if (before.kind === now.kind && before.name === now.name) continue
      throw new Refusal('edge_exists')
    }
    for (const end of [edge.up, edge.down]) {
      if (!names.has(end) && !world.nodes.has(end)) throw new Refusal('execution_not_in_flow')
    }
    const refusal = rules.linkRefusal({
      isNew: names.has(edge.down),
      group: world.groups.get(edge.down),
      isOwnParent: edge.down === parent,
    })
    if (refusal !== undefined) throw new Refusal(refusal)
    found.push(edge)
  }
  return found
}

/** False for one that says what is so already. */
function isNewGroup(world: World, plan: GroupPlan, names: ReadonlySet<string>): boolean {
  const group = world.groups.get(plan.down)
  if (names.has(plan.down) || group?.sealed === false) return true
  if (group === undefined) throw new Refusal('execution_not_in_flow')
  const isSame = Object.entries({ remaining: 'run', ...plan }).every(
    ([name, value]) => value === undefined || group[name as keyof Group] === value,
  )
  if (!isSame) throw new Refusal('group_differs')
  return false
}

interface Additions {
  readonly nodes: readonly NodePlan[]
  readonly edges: readonly EdgePlan[]
  readonly groups: readonly GroupPlan[]
}

/** Answers with what is sealed now; a quorum that nobody can reach is refused. */
function checkSeals(world: World, plan: ApplyPlan, { nodes, edges, groups }: Additions) {
  const isNode = (down: string) => world.nodes.has(down) || nodes.some(({ name }) => name === down)
  if (!(plan.seal ?? []).every(isNode)) throw new Refusal('execution_not_in_flow')
  const sealing = [...(plan.seal ?? []), ...nodes.flatMap((node) => (node.hold ? [] : node.name))]
  return sealing.filter((down) => {
    const stored = world.groups.get(down)
    if (stored?.sealed) return false
    const given = groups.findLast((group) => group.down === down) ?? stored
    const n = [...edgesInto(world, down), ...edges].filter((edge) => edge.down === down).length
    const { policy, k = 0 } = given ?? {}
    if (policy === 'quorum' && (k < 1 || k > n)) throw new Refusal('quorum_unreachable')
    return given !== undefined || nodes.some(({ name, hold }) => name === down && hold)
  })
}

function checkCycles(world: World, added: readonly EdgePlan[]): void {
  for (const { up, down } of added) {
    const reached = new Set([down])
    for (const name of reached) {
      const more = [...edgesFrom(world, name), ...added.filter((edge) => edge.up === name)]
      for (const edge of more) reached.add(edge.down)
    }
    if (reached.has(up)) throw new Refusal('graph_cycle')
  }
}

function created(world: World, plan: NodePlan, edges: readonly EdgePlan[]): Node {
  const { name, lane = name, hold = false, delayMs, deadlineMs } = plan
  const at = (ms: number | undefined) => (ms === undefined ? undefined : world.nowMs + ms)
  return {
    name,
    lane,
    createdMs: world.nowMs,
    deadlineMs: at(deadlineMs),
    dueMs: at(delayMs),
    state: 'waiting',
    gated: hold || edges.some((edge) => edge.down === name),
    held: false,
    parked: false,
    blocked: false,
    withheld: false,
    reason: undefined,
    replays: 0,
  }
}

const emptyGroup = (down: string): Group => ({
  down,
  policy: 'all',
  k: 0,
  remaining: 'run',
  impossible: undefined,
  collect: undefined,
  state: 'pending',
  sealed: true,
  dynamic: false,
  laterRound: false,
})

/**
 * From its first child on the group is the parent's own, joined as parents join, and about its
 * children alone.
 */
function prepareParent(world: World, rules: Rules, parent: string): void {
  const group = world.groups.get(parent) ?? { ...emptyGroup(parent) }
  world.groups.set(parent, group)
  if (group.dynamic) {
    startRound(world, rules, group)
    return
  }
  for (const edge of edgesInto(world, parent))
    Object.assign(edge, { counted: false, spared: false })
  group.state = 'pending'
  const joined = { policy: 'all', impossible: 'resume', collect: 'all', k: 0 } as const
  Object.assign(group, joined, { remaining: 'run', dynamic: true })
}

/** For a node that has to wait, or that somebody said something about. */
function makeGroup(
  world: World,
  { name, hold = false }: NodePlan,
  edges: readonly EdgePlan[],
  groups: readonly GroupPlan[],
): void {
  const isAwaiting = hold || edges.some(({ down }) => down === name)
  if (!isAwaiting && !groups.some(({ down }) => down === name)) return
  const state = isAwaiting ? 'pending' : 'satisfied'
  world.groups.set(name, { ...emptyGroup(name), sealed: !hold, state })
}
