// Random graphs: the calls that build a flow of up to 200 nodes, in all shapes and policies.
import fc from 'fast-check'
import { Choices } from '../properties/choices.ts'
import type { ApplyPlan, EdgePlan, FlowPlan, GroupPlan, NodePlan } from './vocabulary.ts'

export interface Graph {
  readonly flow: FlowPlan
  /** To be made in this order. */
  readonly applies: readonly ApplyPlan[]
}

const shapes = ['random', 'chain', 'fan_out', 'fan_in', 'diamond', 'layered'] as const
type Shape = (typeof shapes)[number]

const layerWidth = 5
const upstreamsMax = 4
const deadlinesMax = 20

const pick = fc.noBias(fc.nat(2 ** 30 - 1))
const nodeSeed = fc.noBias(fc.array(pick, { minLength: 4, maxLength: 4 }))
const nodeSeeds = (maxLength: number) =>
  fc.noBias(fc.array(nodeSeed, { minLength: 1, maxLength, size: 'max' }))

/** Mostly small ones: faults show in few nodes, and large graphs are for what is left over. */
export const graphs: fc.Arbitrary<Graph> = fc
  .record({
    shape: fc.constantFrom(...shapes),
    flow: fc.noBias(fc.array(pick, { minLength: 2, maxLength: 2 })),
    nodes: fc.oneof(
      { weight: 12, arbitrary: nodeSeeds(7) },
      { weight: 6, arbitrary: nodeSeeds(24) },
      { weight: 1, arbitrary: nodeSeeds(200) },
    ),
  })
  .map(({ shape, flow, nodes }) => {
    const choices = nodes.map((picks) => new Choices({ kind: 0, picks }))
    return graphOf(shape, new Choices({ kind: 0, picks: flow }), choices)
  })

const nameOf = (index: number): string => `n${index}`

/** Everything about one node, before it is decided which call brings what. */
interface Draft {
  readonly node: NodePlan
  readonly edges: readonly EdgePlan[]
  readonly group: GroupPlan | undefined
  /** Begins a new call. */
  readonly isFirst: boolean
}

function graphOf(shape: Shape, choices: Choices, nodes: readonly Choices[]): Graph {
  const deadlines = { given: 0 }
  const drafts = nodes.map((node, index) => draftOf(shape, index, nodes.length, node, deadlines))
  const completion = choices.rarely(4) ? 'root' : 'all'
  const flow: FlowPlan = {
    failure: choices.rarely(4) ? 'fail_fast' : 'isolate',
    completion,
    // A root that nobody ever adds is one of the ends that a flow may have.
    ...(completion === 'root' ? { root: nameOf(choices.below(nodes.length + 1)) } : {}),
  }
  return { flow, applies: appliesOf(drafts, choices) }
}

/** Upstreams have lower numbers, so that there is no cycle. */
function upstreamsOf(shape: Shape, index: number, size: number, choices: Choices): number[] {
  if (index === 0) return []
  switch (shape) {
    case 'chain':
      return [index - 1]
    case 'fan_out':
      return [0]
    case 'fan_in':
      return index === size - 1 ? Array.from({ length: index }, (_, up) => up) : []
    case 'diamond': {
      const from = index - (index % 4)
      if (index % 4 === 0) return [index - 1]
      return index % 4 === 3 ? [from + 1, from + 2] : [from]
    }
    case 'layered': {
      const layer = index - (index % layerWidth)
      const above = Array.from({ length: Math.min(layer, layerWidth) }, (_, at) => layer - 1 - at)
      return above.filter(() => choices.below(3) > 0)
    }
    case 'random': {
      const count = choices.below(Math.min(index, upstreamsMax) + 1)
      return [...new Set(Array.from({ length: count }, () => choices.below(index)))]
    }
  }
}

function draftOf(
  shape: Shape,
  index: number,
  size: number,
  choices: Choices,
  deadlines: { given: number },
): Draft {
  const name = nameOf(index)
  const ups = upstreamsOf(shape, index, size, choices)
  const edges = ups.map((up): EdgePlan => {
    const kind = choices.rarely(5) ? 'completion' : 'success'
    return { up: nameOf(up), down: name, kind, ...(choices.rarely(6) ? { name: 'input' } : {}) }
  })
  const hasDeadline = choices.rarely(10) && deadlines.given < deadlinesMax
  if (hasDeadline) deadlines.given += 1
  const node: NodePlan = {
    name,
    ...(choices.rarely(6) ? { hold: true } : {}),
    ...(choices.rarely(8) ? { delayMs: 50 * (1 + choices.below(4)) } : {}),
    // Never two at the same time, and never at a time at which something else may be due.
    ...(hasDeadline ? { deadlineMs: 60_000 * deadlines.given + 1 } : {}),
  }
  return { node, edges, group: groupOf(name, ups.length, choices), isFirst: choices.rarely(6) }
}

function groupOf(down: string, size: number, choices: Choices): GroupPlan | undefined {
  if (size === 0 || choices.rarely(4)) return undefined
  const policy = choices.one(['all', 'any', 'quorum', 'any'] as const)
  const impossible = choices.optional(['skip', 'resume', 'fail'] as const, 2)
  const collect = choices.optional(['first', 'all'] as const, 3)
  return {
    down,
    policy,
    ...(policy === 'quorum' ? { k: 1 + choices.below(size) } : {}),
    remaining: policy === 'all' ? 'run' : choices.one(['cancel', 'run'] as const),
    ...(impossible === undefined ? {} : { impossible }),
    ...(collect === undefined ? {} : { collect }),
  }
}

interface Open {
  nodes: NodePlan[]
  edges: EdgePlan[]
  groups: GroupPlan[]
  seal: string[]
}

const nothing = (): Open => ({ nodes: [], edges: [], groups: [], seal: [] })

/** A node that is held gets its edges by and by, and is sealed by a later call. */
function appliesOf(drafts: readonly Draft[], choices: Choices): ApplyPlan[] {
  const applies: Open[] = [nothing()]
  let later = nothing()
  for (const { node, edges, group, isFirst } of drafts) {
    if (isFirst) {
      applies.push(later)
      later = nothing()
    }
    const now = applies.at(-1) as Open
    now.nodes.push(node)
    if (group !== undefined) now.groups.push(group)
    const split = node.hold ? Math.ceil(edges.length / 2) : edges.length
    now.edges.push(...edges.slice(0, split))
    later.edges.push(...edges.slice(split))
    if (node.hold) later.seal.push(node.name)
  }
  applies.push(later)
  const isFinished = !choices.rarely(6)
  return applies.map((apply, index) => ({
    ...apply,
    finish: isFinished && index === applies.length - 1,
  }))
}
