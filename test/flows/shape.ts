// What a caller knows of a flow's graph from the calls that were accepted, and what must then hold.
import { type ApplyPlan, endings, type FlowView, type NodeState, nodeStates } from './vocabulary.ts'

export class Shape {
  readonly upstreams = new Map<string, Set<string>>()
  readonly unsealed = new Set<string>()
  private readonly names = new Set<string>()

  /** Takes in a call that was accepted. */
  add({ nodes = [], edges = [], seal = [] }: ApplyPlan): void {
    for (const { name, hold } of nodes) {
      if (hold && !this.names.has(name)) this.unsealed.add(name)
      this.names.add(name)
    }
    for (const { up, down } of edges) {
      this.upstreams.set(down, (this.upstreams.get(down) ?? new Set()).add(up))
    }
    for (const name of seal) this.unsealed.delete(name)
  }

  /** What is wrong with a flow on which no work is left over; undefined when nothing is. */
  problem(view: FlowView): string | undefined {
    const found = [this.miscount(view), this.stuck(view), this.lively(view), unended(view)]
    return found.find((why) => why !== undefined)
  }

  private miscount({ counts, nodes }: FlowView): string | undefined {
    const states = Object.values(nodes)
    const wrong = nodeStates.find(
      (state) => (counts[state] ?? 0) !== states.filter((other) => other === state).length,
    )
    return wrong && `the flow counts ${counts[wrong] ?? 0} ${wrong}, and lists another number`
  }

  private stuck({ nodes }: FlowView): string | undefined {
    const isStuck = ([name, state]: readonly [string, NodeState]) => {
      if (state !== 'waiting_children' || this.unsealed.has(name)) return false
      const ups = [...(this.upstreams.get(name) ?? [])]
      return ups.every((up) => isEnding(nodes[up]))
    }
    const found = Object.entries(nodes).find(isStuck)
    return found && `${found[0]} waits for upstreams that have all ended`
  }

  private lively({ state, cancelPolicy, nodes }: FlowView): string | undefined {
    if (state === 'open' || cancelPolicy === 'flow_only') return undefined
    const mayRun = (node: NodeState) => cancelPolicy === 'cancel_pending' && node === 'active'
    const found = Object.entries(nodes).find(([, node]) => !isEnding(node) && !mayRun(node))
    return found && `${found[0]} is ${found[1]} in a flow that is ${state}`
  }
}

const isEnding = (state: NodeState | undefined) => state !== undefined && endings.has(state)

function unended({ state, sealed, nodes }: FlowView): string | undefined {
  const states = Object.values(nodes)
  if (state !== 'open' || !sealed || states.length === 0 || !states.every(isEnding))
    return undefined
  return 'the flow is open though all of it has ended'
}
