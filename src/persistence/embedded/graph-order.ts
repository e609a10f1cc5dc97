// Finds cycles before an edge is written, and ranks members; the twin of lua/lib/graph_order.lua.
import { counts } from '../../limits.ts'
import type { Refusal } from '../contract.ts'
import { type CallContext, refuse } from './call-context.ts'
import type { GraphPlan, PlannedEdge } from './graph-plan.ts'
import { loadGroup } from './group.ts'

type Ranks = Map<string, number>

const cycle = (ids: readonly string[]): Refusal => refuse('graph_cycle', { cycle: ids.join(',') })

/** Walks against the edges among members that all wait for each other, until one comes again. */
function cycleAmong(
  start: string,
  inbound: ReadonlyMap<string, readonly string[]>,
  left: ReadonlySet<string>,
): Refusal {
  const path: string[] = []
  let id = start
  while (!path.includes(id)) {
    path.push(id)
    id = inbound.get(id)?.find((upstream) => left.has(upstream)) ?? id
  }
  return cycle([id, ...path.slice(path.indexOf(id)).reverse()])
}

class Order {
  private readonly call: CallContext
  private readonly plan: GraphPlan
  readonly ranks: Ranks = new Map()
  /** Edges that this call adds, as far as they were looked at. */
  private readonly added = new Map<string, string[]>()
  private visits = counts.graphVisitsMax

  constructor(call: CallContext, plan: GraphPlan) {
    this.call = call
    this.plan = plan
  }

  add({ upstream, downstream }: PlannedEdge): void {
    const known = this.added.get(upstream)
    if (known === undefined) this.added.set(upstream, [downstream])
    else known.push(downstream)
  }

  rankOf(id: string): number {
    const known = this.ranks.get(id)
    if (known !== undefined) return known
    if (this.plan.isNew.has(id)) return 0
    return loadGroup(this.call, id).hash.number('rank')
  }

  private outbound(id: string): readonly string[] {
    const stored = this.call.keyspace.executions.get(id)?.down ?? []
    return [...stored, ...(this.added.get(id) ?? [])]
  }

  /** Ranks the new members; a refusal when they depend on each other in a circle. */
  rankNew(): Refusal | undefined {
    const { plan } = this
    const inbound = new Map<string, string[]>(plan.added.map(({ id }) => [id, []]))
    const outbound = new Map<string, string[]>(plan.added.map(({ id }) => [id, []]))
    const open = new Map(plan.added.map(({ id }) => [id, 0]))
    const left = new Set(inbound.keys())
    for (const { upstream, downstream } of plan.edges) {
      if (!left.has(downstream)) continue
      inbound.get(downstream)?.push(upstream)
      if (!left.has(upstream)) continue
      outbound.get(upstream)?.push(downstream)
      open.set(downstream, (open.get(downstream) ?? 0) + 1)
    }
    const queue = plan.added.map(({ id }) => id).filter((id) => open.get(id) === 0)
    for (const id of queue) {
      left.delete(id)
      const ranks = (inbound.get(id) ?? []).map((upstream) => this.rankOf(upstream) + 1)
      this.ranks.set(
        id,
        ranks.reduce((a, b) => Math.max(a, b), 0),
      )
      for (const downstream of outbound.get(id) ?? []) {
        const rest = (open.get(downstream) ?? 0) - 1
        open.set(downstream, rest)
        if (rest === 0) queue.push(downstream)
      }
    }
    const stuck = plan.added.find(({ id }) => left.has(id))
    return stuck && cycleAmong(stuck.id, inbound, left)
  }

  /** Raises what depends on the edge's downstream over the rank of its upstream. */
  raise(edge: PlannedEdge): Refusal | undefined {
    const { downstream: start, upstream: goal } = edge
    const stack: [string, number][] = [[start, this.rankOf(goal) + 1]]
    const from = new Map<string, string>()
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [id, rank] = top
      if (this.rankOf(id) >= rank) continue
      this.ranks.set(id, rank)
      for (const downstream of this.outbound(id)) {
        this.visits -= 1
        if (this.visits < 0) return refuse('graph_too_large', { what: 'search for cycles' })
        from.set(downstream, id)
        if (downstream === goal) return cycle([goal, ...pathTo(start, goal, from)])
        stack.push([downstream, rank + 1])
      }
    }
    return undefined
  }
}

function pathTo(start: string, goal: string, from: ReadonlyMap<string, string>): string[] {
  const ids = [goal]
  for (let id = goal; id !== start; ) {
    id = from.get(id) ?? start
    ids.unshift(id)
  }
  return ids
}

/** The new ranks by id, or the refusal that names a cycle. */
export function ranksOf(call: CallContext, plan: GraphPlan): Ranks | Refusal {
  const order = new Order(call, plan)
  let refusal = order.rankNew()
  for (const edge of plan.edges) if (plan.isNew.has(edge.downstream)) order.add(edge)
  for (const edge of plan.edges) {
    if (refusal !== undefined) return refusal
    if (plan.isNew.has(edge.downstream)) continue
    if (order.rankOf(edge.downstream) <= order.rankOf(edge.upstream)) refusal = order.raise(edge)
    order.add(edge)
  }
  return refusal ?? order.ranks
}
