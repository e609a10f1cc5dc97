// The lifecycle machine as plain rows: the only reader of machine internals.
import type { AnyStateMachine } from 'xstate'
import type { ExecutionEventName, LeafMeta } from './execution.ts'
import { executionMachine } from './execution.ts'
import type { Fact } from './facts.ts'

/** One way out of a leaf: the first row whose fact holds (or that needs none) is taken. */
export interface Candidate {
  readonly fact: Fact | undefined
  readonly target: string
}

/** A leaf with everything that can happen in it. */
export interface Leaf extends LeafMeta {
  readonly name: string
  readonly description: string
  readonly on: Readonly<Partial<Record<ExecutionEventName, readonly Candidate[]>>>
}

type Node = AnyStateMachine['root']

/** Every leaf of the lifecycle machine, in the order in which it is written. */
export function lifecycleTable(machine: AnyStateMachine = executionMachine): readonly Leaf[] {
  const leaves: Leaf[] = []
  const visit = (node: Node): void => {
    const children = Object.values(node.states)
    if (children.length > 0) for (const child of children) visit(child)
    else leaves.push(readLeaf(node))
  }
  visit(machine.root)
  return leaves
}

function readLeaf(node: Node): Leaf {
  const on: Partial<Record<ExecutionEventName, readonly Candidate[]>> = {}
  for (let holder: Node | undefined = node; holder !== undefined; holder = holder.parent) {
    for (const [event, transitions] of holder.transitions) {
      // The innermost node that knows an event decides it.
      on[event as ExecutionEventName] ??= transitions.map((transition) => ({
        fact: transition.guard as Fact | undefined,
        target: leafName(transition.target?.[0] ?? node),
      }))
    }
  }
  return {
    ...(node.meta as LeafMeta),
    name: leafName(node),
    description: node.description ?? '',
    on,
  }
}

/** Follows initial states down to a leaf and writes its path. */
function leafName(node: Node): string {
  let current = node
  while (Object.keys(current.states).length > 0) {
    current = current.initial.target[0] as Node
  }
  return current.path.join('.')
}

const byName = new Map(lifecycleTable().map((leaf) => [leaf.name, leaf]))

/** The leaf of that name, or undefined when the lifecycle has none. */
export function leafOf(name: string): Leaf | undefined {
  return byName.get(name)
}

/** Where an event leads from a leaf under the given facts; undefined when it is refused. */
export function nextLeaf(
  from: string,
  event: ExecutionEventName,
  facts: ReadonlySet<Fact>,
): string | undefined {
  return byName
    .get(from)
    ?.on[event]?.find((candidate) => candidate.fact === undefined || facts.has(candidate.fact))
    ?.target
}
