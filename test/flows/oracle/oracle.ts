// A slow and obvious model of one flow, written from its rules alone: after each call everything
// that follows is worked out anew, until nothing changes.
import {
  type ApplyPlan,
  type CancelPolicy,
  cancelPolicies,
  type FlowCall,
  type FlowPlan,
  type FlowView,
  type JoinPlan,
  type NodeState,
  type Seen,
} from '../vocabulary.ts'
import { apply } from './apply.ts'
import { edgesInto, emptyWorld, hasEnded, type Node, type World } from './model.ts'
import { Refusal } from './refusal.ts'
import { replay, replaySubgraph } from './replay.ts'
import { type Rules, rules as trueRules } from './rules.ts'
import { end, place, settle, startRound } from './settle.ts'
import { act, heldNode } from './verbs.ts'

export class Oracle {
  readonly world: World
  private readonly rules: Rules

  constructor(rules: Rules = trueRules, passesMax = Number.POSITIVE_INFINITY) {
    this.rules = rules
    this.world = emptyWorld(passesMax)
  }

  call(call: FlowCall): Seen {
    try {
      return this.perform(call)
    } catch (error) {
      if (error instanceof Refusal) return `refused ${error.code}`
      throw error
    }
  }

  private perform(call: FlowCall): Seen {
    const { world, rules } = this
    switch (call.do) {
      case 'create':
        return this.create(call.flow)
      case 'apply':
        return this.apply(call.apply)
      case 'cancelFlow':
        return this.cancelFlow(call.policy)
      case 'replay':
        replay(world, rules, call.node, call.reopen ?? false)
        return 'replayed'
      case 'replaySubgraph':
        replaySubgraph(world, rules, call.node)
        return 'replayed'
      case 'start':
        return this.start(call.node)
      case 'spawn':
        heldNode(world, rules, call.node)
        return this.apply(call.apply, call.node)
      case 'wait':
        return this.wait(heldNode(world, rules, call.node), call.join)
      default:
        act(world, rules, call.do, call.node)
        settle(world, rules)
        return 'done'
    }
  }

  private create(plan: FlowPlan): Seen {
    const { kind = 'dag', failure = 'isolate', completion = 'all', root } = plan
    const wanted = { kind, failure, completion, root }
    const { flow } = this.world
    if (flow === undefined) {
      this.world.flow = { ...wanted, state: 'open', sealed: false, cancelPolicy: undefined }
      return 'created'
    }
    const names = ['kind', 'failure', 'completion', 'root'] as const
    if (names.some((name) => flow[name] !== wanted[name])) throw new Refusal('flow_differs')
    return 'exists'
  }

  private apply(plan: ApplyPlan, parent?: string): Seen {
    const { added, linked } = apply(this.world, this.rules, plan, parent)
    return `applied ${added} ${linked}`
  }

  private cancelFlow(policy: CancelPolicy): Seen {
    const { flow } = this.world
    if (!cancelPolicies.includes(policy)) throw new Refusal('invalid_input')
    if (flow === undefined) throw new Refusal('flow_not_found')
    if (flow.state !== 'open' && flow.state !== 'cancelled') return `ended ${flow.state}`
    const widthOf = (name: CancelPolicy) => cancelPolicies.indexOf(name)
    const before = flow.cancelPolicy ?? policy
    flow.cancelPolicy = widthOf(policy) > widthOf(before) ? policy : before
    flow.state = 'cancelled'
    settle(this.world, this.rules)
    return `cancelled ${flow.cancelPolicy}`
  }

  /** What a claim of the node's lane gets. */
  private start(name: string): Seen {
    const { flow, nodes } = this.world
    const lane = nodes.get(name)?.lane
    const candidates = [...nodes.values()].filter(
      (node) => node.lane === lane && flow && this.rules.isClaimable(node, flow),
    )
    const [first] = candidates.toSorted((a, b) => a.createdMs - b.createdMs)
    if (first === undefined) return this.withhold(lane)
    Object.assign(first, { state: 'active', held: true, parked: false })
    return `claimed ${first.name}`
  }

  /**
   * Work of a flow that is over is put aside where a claim comes upon it; what has lost its lease
   * cannot be, and is cancelled.
   */
  private withhold(lane: string | undefined): Seen {
    const { world, rules } = this
    for (const node of world.nodes.values()) {
      if (node.lane !== lane || !rules.isFree(node)) continue
      if (node.state === 'active') {
        end(world, rules, node, 'cancelled', 'flow_cancelled')
      } else {
        node.withheld = true
        place(world, rules, node)
      }
    }
    settle(world, rules)
    return 'nothing'
  }

  private wait(node: Node, join: JoinPlan = {}): Seen {
    const { world, rules } = this
    const group = world.groups.get(node.name)
    if (group !== undefined) {
      const edges = edgesInto(world, node.name)
      const round = rules.newRound(group, edges) ?? edges.filter(({ counted }) => counted)
      if (round.length > 0 && round.length < (join.k ?? 0)) throw new Refusal('quorum_unreachable')
      startRound(world, rules, group)
      Object.assign(group, join)
      group.collect ??= 'all'
      group.impossible ??= 'resume'
    }
    Object.assign(node, { parked: true, gated: group !== undefined })
    place(world, rules, node)
    settle(world, rules)
    return 'done'
  }

  /** When something happens by itself: the earliest first. */
  dueTimes(): number[] {
    const times = [...this.world.nodes.values()].flatMap((node) => {
      if (hasEnded(node)) return []
      return [node.deadlineMs ?? [], node.state === 'delayed' ? (node.dueMs ?? []) : []].flat()
    })
    return times.filter((at) => at > this.world.nowMs).sort((a, b) => a - b)
  }

  /** Answers with how much time has passed. */
  tick(): number {
    const { world, rules } = this
    const beforeMs = world.nowMs
    world.nowMs = this.dueTimes()[0] ?? beforeMs
    for (const node of world.nodes.values()) {
      const { deadlineMs = world.nowMs + 1 } = node
      if (!hasEnded(node) && deadlineMs <= world.nowMs)
        end(world, rules, node, 'expired', 'deadline')
      else if (node.state === 'delayed') place(world, rules, node)
    }
    settle(world, rules)
    return world.nowMs - beforeMs
  }

  /** Does all that calls have left over. */
  drain(): void {
    let before: string
    do {
      before = JSON.stringify([...this.world.nodes.values(), this.world.edges])
      settle(this.world, this.rules)
    } while (before !== JSON.stringify([...this.world.nodes.values(), this.world.edges]))
  }

  view(): FlowView {
    const { flow, nodes } = this.world
    if (flow === undefined) throw new Error('no flow')
    const counts: Partial<Record<NodeState, number>> = {}
    for (const { state } of nodes.values()) counts[state] = (counts[state] ?? 0) + 1
    const all = [...nodes.values()]
    return {
      state: flow.state,
      sealed: flow.sealed,
      counts,
      spared: all.filter(({ reason }) => reason === 'no_longer_needed').length,
      cancelPolicy: flow.cancelPolicy,
      nodes: Object.fromEntries(all.map(({ name, state }) => [name, state])),
      held: all.flatMap(({ name, held }) => (held ? name : [])).sort(),
    }
  }
}
