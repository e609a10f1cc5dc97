// What holders and operators do to one node; what follows from it is left to the rules.
import type { HolderVerb, OperatorVerb } from '../vocabulary.ts'
import { hasEnded, type Node, type World } from './model.ts'
import { Refusal } from './refusal.ts'
import type { Rules } from './rules.ts'
import { end, place } from './settle.ts'

const backoffMs = 10
const pauseMs = 50

type Act = (world: World, rules: Rules, node: Node) => void

function only(isPossible: boolean, code = 'execution_not_eligible'): void {
  if (!isPossible) throw new Refusal(code)
}

/** Nobody starts again in a flow that was cancelled with its pending work. */
function hasRetry({ flow }: World, rules: Rules, node: Node): boolean {
  return flow === undefined || !rules.isDoomed({ ...node, held: false }, flow)
}

const holderVerbs: Readonly<Record<HolderVerb, Act>> = {
  complete: (world, rules, node) => {
    end(world, rules, node, 'completed')
  },
  fail: (world, rules, node) => {
    end(world, rules, node, 'failed', 'failed')
  },
  cancel: (world, rules, node) => {
    end(world, rules, node, 'cancelled', 'cancelled_by_worker')
  },
  retry: (world, rules, node) => {
    if (hasRetry(world, rules, node)) {
      node.dueMs = world.nowMs + backoffMs
      place(world, rules, node)
    } else {
      end(world, rules, node, 'failed', 'failed')
    }
  },
  delay: (world, rules, node) => {
    Object.assign(node, { parked: true, dueMs: world.nowMs + pauseMs })
    place(world, rules, node)
  },
  suspend: (_world, _rules, node) => {
    Object.assign(node, { state: 'suspended', held: false, parked: true })
  },
}

const operatorVerbs: Readonly<Record<OperatorVerb, Act>> = {
  stop: (world, rules, node) => {
    only(!hasEnded(node))
    end(world, rules, node, 'cancelled', 'cancelled_by_operator')
  },
  resume: (world, rules, node) => {
    only(node.state === 'suspended')
    place(world, rules, node)
  },
  block: (world, rules, node) => {
    only(['waiting', 'delayed', 'waiting_children'].includes(node.state))
    node.blocked = true
    place(world, rules, node)
  },
  unblock: (world, rules, node) => {
    only(!hasEnded(node))
    // What a flow withholds is not an operator's to let go.
    if (!node.blocked) return
    node.blocked = false
    place(world, rules, node)
  },
  revoke: (_world, _rules, node) => {
    only(node.held)
    node.held = false
  },
}

/** Whoever touches a node that its flow takes with it cancels it. */
function touch(world: World, rules: Rules, name: string): Node {
  const node = world.nodes.get(name)
  if (node === undefined) throw new Refusal('execution_not_found')
  if (world.flow && rules.isDoomed(node, world.flow)) {
    end(world, rules, node, 'cancelled', 'flow_cancelled')
  }
  return node
}

export function heldNode(world: World, rules: Rules, name: string): Node {
  const node = touch(world, rules, name)
  only(node.held, 'not_active')
  return node
}

export function act(world: World, rules: Rules, verb: HolderVerb | OperatorVerb, name: string) {
  if (verb in operatorVerbs) {
    return operatorVerbs[verb as OperatorVerb](world, rules, touch(world, rules, name))
  }
  holderVerbs[verb as HolderVerb](world, rules, heldNode(world, rules, name))
}
