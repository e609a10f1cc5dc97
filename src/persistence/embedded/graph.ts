// Writes what a plan adds to a flow; the twin of lua/lib/graph.lua.
import { invariant } from '../../errors.ts'
import { leafOf } from '../../machines/table.ts'
import type { CallContext } from './call-context.ts'
import { settleGroup, voteNow } from './dependents.ts'
import { decideFlow, type Flow } from './flow.ts'
import type { GraphPlan, PlannedMember } from './graph-plan.ts'
import {
  becomeParent,
  castVote,
  createGroup,
  groupOf,
  link,
  loadGroup,
  nextRound,
  requireEdge,
} from './group.ts'
import { type Execution, newExecution } from './record.ts'
import { acceptSubmission } from './submission.ts'

function joinOf(plan: GraphPlan, id: string) {
  const join = plan.joins.get(id)
  if (join === undefined) return { policy: 'all' }
  const { downstream: _, ...wishes } = join
  return wishes
}

/** Who waits for its edges has them counted; whoever runs already begins another round. */
function prepareParent(call: CallContext, plan: GraphPlan, x: Execution): void {
  if (!plan.counts.has(x.id)) return
  const group = groupOf(call, x.stored)
  if (group.hash.get('state') === undefined) createGroup(group, { sealed: 1 })
  if (group.hash.get('dynamic') === undefined) becomeParent(group)
  else nextRound(group)
  x.f.has_up = 1
}

/** A parent that belonged to no flow belongs to this one from now on. */
function adopt({ keyspace }: CallContext, { flow, adopts }: GraphPlan, x: Execution): void {
  if (!adopts) return
  x.f.flow = flow.id
  keyspace.flows.membersOf(flow.id).add(x.id, 0)
  flow.hash.add('members', 1)
  flow.hash.add(leafOf(x.f.state)?.public ?? '', 1)
}

function addMember(
  call: CallContext,
  plan: GraphPlan,
  { id, part, checked }: PlannedMember,
  hasDown: boolean,
): void {
  // A copy: the caller may use its buffer again.
  const { tags, tagged } = part
  const x = newExecution({ id, tags, tagged, input: Buffer.from(part.input) })
  const waits = part.hold || plan.counts.has(id) || plan.joins.has(id)
  x.f.flow = plan.flow.id
  x.f.deps = waits ? 1 : undefined
  x.f.has_up = waits ? 1 : undefined
  x.f.has_down = hasDown ? 1 : undefined
  if (waits) createGroup(groupOf(call, x.stored), joinOf(plan, id))
  call.keyspace.flows.membersOf(plan.flow.id).add(id, 0)
  acceptSubmission(call, x, part, checked)
}

function addMembers(call: CallContext, plan: GraphPlan): void {
  const feeds = new Set(plan.edges.map(({ upstream }) => upstream))
  plan.flow.hash.add('members', plan.added.length)
  for (const member of plan.added) addMember(call, plan, member, feeds.delete(member.id))
  for (const id of feeds) {
    const x = plan.found.get(id)
    if (x === undefined) continue
    x.f.has_down = 1
    call.keyspace.storeFields(x.stored, x.f)
  }
}

function addEdges(call: CallContext, plan: GraphPlan): void {
  for (const { upstream, downstream, kind, name = '' } of plan.edges) {
    const group = loadGroup(call, downstream)
    const from = call.keyspace.executions.get(upstream)
    invariant(from !== undefined, `${upstream} was planned and is not there`)
    link(call, group, from, kind.charAt(0), name)
    const edge = requireEdge(group, upstream)
    const vote = voteNow(edge.kind, from)
    if (vote !== 'u') castVote(group, edge, vote)
  }
  plan.flow.hash.add('edges', plan.edges.length)
}

/** Members, edges and seals, then what is decided by them already. Nothing is refused any more. */
export function applyGraph(call: CallContext, plan: GraphPlan): void {
  const { parent, flow } = plan
  if (parent !== undefined) {
    prepareParent(call, plan, parent)
    adopt(call, plan, parent)
  }
  addMembers(call, plan)
  if (parent !== undefined) call.keyspace.storeFields(parent.stored, parent.f)
  addEdges(call, plan)
  for (const [id, rank] of plan.ranks) if (rank > 0) loadGroup(call, id).hash.set('rank', rank)
  for (const id of plan.sealed) {
    const group = loadGroup(call, id)
    group.hash.set('sealed', 1)
    settleGroup(call, group)
  }
  if (!plan.isChange) return
  flow.hash.add('revision', 1)
  flow.hash.set('updated_at', call.nowMs)
}

/** Lets the flow end once all its members have. */
export function sealFlow(call: CallContext, flow: Flow): void {
  if (flow.hash.get('sealed') !== undefined) return
  flow.hash.set('sealed', 1)
  flow.hash.add('revision', 1)
  decideFlow(call, flow)
}
