// Checks what a caller wants to add to a flow; the twin of lua/lib/graph_plan.lua.
import { counts as limits } from '../../limits.ts'
import type { Arguments, Refusal } from '../contract.ts'
import type { EdgePart, JoinPart, MemberPart } from '../generated/operations.ts'
import { type CallContext, refuse } from './call-context.ts'
import { denierOfChildren } from './exhaustion.ts'
import { checkFence } from './fence.ts'
import { absentFlow, differing, type Flow, flowState, isTold, loadFlow } from './flow.ts'
import { ranksOf } from './graph-order.ts'
import { edgeOf, type Group, loadGroup } from './group.ts'
import type { Execution } from './record.ts'
import { type CheckedSubmission, checkSubmission } from './submission.ts'

type Apply = Arguments<'flow.apply'>

export type PlannedEdge = EdgePart

export interface PlannedMember {
  readonly id: string
  readonly part: MemberPart
  readonly checked: CheckedSubmission
}

/** What is new of all that was asked for. */
export class GraphPlan {
  readonly flow: Flow
  /** Whether the flow begins with this. */
  readonly begins: boolean
  readonly added: PlannedMember[] = []
  readonly isNew = new Set<string>()
  readonly joins = new Map<string, JoinPart>()
  readonly edges: PlannedEdge[] = []
  /** How many edges it adds to each downstream. */
  readonly counts = new Map<string, number>()
  readonly sealed: string[] = []
  /** Older members that edges name. */
  readonly found = new Map<string, Execution>()
  parent: Execution | undefined
  /** Whether the parent belonged to no flow: it becomes a member of this one. */
  adopts = false
  ranks: ReadonlyMap<string, number> = new Map()

  constructor(flow: Flow, begins: boolean) {
    this.flow = flow
    this.begins = begins
  }

  /** How many members the flow gets. */
  get gain(): number {
    return this.added.length + (this.adopts ? 1 : 0)
  }

  get isChange(): boolean {
    return this.gain + this.edges.length + this.sealed.length > 0
  }

  isParent(id: string): boolean {
    return this.parent?.id === id
  }
}

const invalid = (argument: string, why: string): Refusal =>
  refuse('invalid_input', { argument, why })

class Planner {
  private readonly call: CallContext
  private readonly args: Apply
  readonly plan: GraphPlan

  constructor(call: CallContext, args: Apply, plan: GraphPlan) {
    this.call = call
    this.args = args
    this.plan = plan
  }

  make(): Refusal | undefined {
    return (
      this.takeParent() ??
      this.takeMembers() ??
      this.takeJoins() ??
      this.takeEdges() ??
      this.takeSeals() ??
      this.checkOpen()
    )
  }

  /** The running parent that adds work under its lease, if one does. */
  private takeParent(): Refusal | undefined {
    const { parent: id, attempt, lease_id, epoch, flow } = this.args
    if (id === undefined) return undefined
    if (attempt === undefined) return invalid('attempt', 'is missing')
    if (lease_id === undefined) return invalid('lease_id', 'is missing')
    if (epoch === undefined) return invalid('epoch', 'is missing')
    const checked = checkFence(this.call, { id, attempt, lease_id, epoch })
    if ('refusal' in checked) return checked.refusal
    const { x } = checked
    if (x.f.flow !== undefined && x.f.flow !== flow) {
      return refuse('execution_in_other_flow', { execution: id, flow: x.f.flow })
    }
    const budget =
      this.args.members.length > 0 ? denierOfChildren(this.call.keyspace, x.f) : undefined
    if (budget !== undefined) return refuse('budget_exhausted', { budget })
    this.plan.parent = x
    this.plan.found.set(id, x)
    this.plan.adopts = x.f.flow === undefined
    return undefined
  }

  private takeMembers(): Refusal | undefined {
    const { call, plan, args } = this
    for (const part of args.members) {
      if (plan.isNew.has(part.id)) return invalid('members', `name ${part.id} twice`)
      const stored = call.keyspace.executions.get(part.id)
      if (stored !== undefined) {
        const { flow = '' } = stored.fields
        if (flow === args.flow) continue
        return refuse('execution_in_other_flow', { execution: part.id, flow })
      }
      const checked = checkSubmission(call, part)
      if ('outcome' in checked) return checked
      plan.isNew.add(part.id)
      plan.added.push({ id: part.id, part, checked })
    }
    const members = plan.flow.hash.number('members') + plan.gain
    return members > limits.flowMembersMax
      ? refuse('graph_too_large', { what: 'members', most: String(limits.flowMembersMax) })
      : undefined
  }

  /** Whether the flow has it, or will have it after this call. */
  private isMember(id: string): boolean {
    const { plan } = this
    if (plan.isNew.has(id) || plan.found.has(id)) return true
    const x = this.call.keyspace.load(id)
    if (x?.f.flow !== plan.flow.id) return false
    plan.found.set(id, x)
    return true
  }

  /** A refusal unless edges may still be added to what waits there. */
  private refuseClosed(id: string): Refusal | undefined {
    const { plan } = this
    if (plan.isNew.has(id) || plan.isParent(id)) return undefined
    if (!this.isMember(id)) return refuse('execution_not_in_flow', { execution: id })
    const { hash } = loadGroup(this.call, id)
    const isSealed = hash.get('state') === undefined || hash.get('sealed') !== undefined
    return isSealed ? refuse('group_sealed', { execution: id }) : undefined
  }

  private takeJoins(): Refusal | undefined {
    const { plan, args } = this
    for (const join of args.joins) {
      const { downstream: id, policy, k } = join
      if ((policy === 'quorum') !== (k !== undefined)) {
        return invalid('joins', 'need k for a quorum, and only then')
      }
      if (plan.joins.has(id)) return invalid('joins', `name ${id} twice`)
      if (plan.isParent(id)) return invalid('joins', 'of a running parent come when it waits')
      const stored = this.call.keyspace.executions.get(id)
      const group = stored && loadGroup(this.call, id)
      if (group?.hash.get('state') === undefined) {
        const refusal = this.refuseClosed(id)
        if (refusal !== undefined) return refusal
        plan.joins.set(id, join)
      } else if (differs(group, join)) return refuse('group_differs', { execution: id })
    }
    return undefined
  }

  private takeEdges(): Refusal | undefined {
    const seen = new Set<string>()
    for (const edge of this.args.edges) {
      const { upstream, downstream } = edge
      if (upstream === downstream) {
        return refuse('graph_cycle', { cycle: `${upstream},${upstream}` })
      }
      if (seen.has(upstream + downstream)) {
        return invalid('edges', `name ${upstream} and ${downstream} twice`)
      }
      seen.add(upstream + downstream)
      const refusal = this.takeEdge(edge)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  private takeEdge(edge: EdgePart): Refusal | undefined {
    const { plan, call } = this
    const { upstream, downstream, kind, name = '' } = edge
    if (!this.isMember(upstream)) return refuse('execution_not_in_flow', { execution: upstream })
    const isStored = !plan.isNew.has(downstream) && call.keyspace.executions.has(downstream)
    const known = isStored ? edgeOf(loadGroup(call, downstream), upstream) : undefined
    if (known !== undefined) {
      const isSame = known.kind === kind.charAt(0) && known.name === name
      return isSame ? undefined : refuse('edge_exists', { upstream, downstream })
    }
    const refusal = this.refuseClosed(downstream)
    if (refusal !== undefined) return refusal
    plan.edges.push(edge)
    plan.counts.set(downstream, (plan.counts.get(downstream) ?? 0) + 1)
    return undefined
  }

  private takeSeals(): Refusal | undefined {
    const { plan, args, call } = this
    const sealed = new Set<string>()
    const holding = new Set(plan.added.filter(({ part }) => part.hold).map(({ id }) => id))
    for (const id of args.seal === undefined ? [] : args.seal.split(',')) {
      if (!this.isMember(id)) return refuse('execution_not_in_flow', { execution: id })
      const hash = plan.isNew.has(id) ? undefined : loadGroup(call, id).hash
      const isHeld = hash?.get('state') !== undefined && hash.get('sealed') === undefined
      if (isHeld || holding.has(id)) sealed.add(id)
    }
    for (const { id, part } of plan.added) {
      if (!part.hold && (plan.counts.has(id) || plan.joins.has(id))) sealed.add(id)
    }
    plan.sealed.push(...sealed)
    return plan.sealed.map((id) => this.refuseQuorum(id)).find((refusal) => refusal !== undefined)
  }

  /** A quorum that nobody could reach is refused before it can strand anything. */
  private refuseQuorum(id: string): Refusal | undefined {
    const { plan } = this
    const hash = plan.isNew.has(id) ? undefined : loadGroup(this.call, id).hash
    const n = (hash?.number('n') ?? 0) + (plan.counts.get(id) ?? 0)
    const join = plan.joins.get(id)
    const k = join === undefined ? (hash?.number('k') ?? 0) : (join.k ?? 0)
    return k > n
      ? refuse('quorum_unreachable', { execution: id, k: String(k), n: String(n) })
      : undefined
  }

  private checkOpen(): Refusal | undefined {
    const { begins, flow, isChange } = this.plan
    const state = begins ? 'open' : flowState(flow)
    return isChange && state !== 'open' ? refuse('flow_ended', { flow: flow.id, state }) : undefined
  }
}

const joinFields = ['policy', 'k', 'remaining', 'impossible', 'collect'] as const

function differs({ hash }: Group, join: JoinPart): boolean {
  return joinFields.some((name) => {
    const wished = join[name]
    return (wished === undefined ? undefined : String(wished)) !== hash.get(name)
  })
}

/** For the flow that grows: one that is there, or, if its kind is told, one that begins. */
function emptyPlan(call: CallContext, args: Apply): GraphPlan | Refusal {
  const { flow: id, kind, completion, root } = args
  const flow = loadFlow(call, id)
  if (kind === undefined) {
    if (isTold(args)) return invalid('kind', 'is missing')
    if (flow === undefined) return refuse('flow_not_found', { flow: id })
  } else if (completion === 'root' && root === undefined) {
    return invalid('root', 'is missing')
  }
  if (flow === undefined) return new GraphPlan(absentFlow(call, id), true)
  const argument = kind === undefined ? undefined : differing(call, flow, args)
  if (argument !== undefined) return refuse('flow_differs', { argument, flow: id })
  return new GraphPlan(flow, false)
}

/** What is new of all that was asked for, or the refusal of the first thing that is wrong. */
export function planGraph(call: CallContext, args: Apply): GraphPlan | Refusal {
  const plan = emptyPlan(call, args)
  if (!(plan instanceof GraphPlan)) return plan
  const refusal = new Planner(call, args, plan).make()
  if (refusal !== undefined) return refusal
  const ranks = ranksOf(call, plan)
  if (!(ranks instanceof Map)) return ranks as Refusal
  plan.ranks = ranks
  return plan
}
