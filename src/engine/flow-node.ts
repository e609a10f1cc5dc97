// Nodes of a flow that is being built, and how one comes after others.
import { EngineError } from '../errors.ts'
import { checkWord } from '../persistence/arguments.ts'
import type { FlowEdge, Join } from '../persistence/backend.ts'
import { childEdge } from './inputs.ts'
import { checkJoin } from './member.ts'
import type { WorkSubmitOptions } from './submission.ts'

/** One piece of work in a flow. */
export class FlowNode<Output = unknown> {
  readonly name: string
  /** Name of its task. */
  readonly task: string
  /** What its task returns: for the type alone, there is no such property. */
  declare protected readonly output: Output

  /** @internal */
  constructor(name: string, task: string) {
    this.name = name
    this.task = task
  }
}

/** A node however it ends; see `Flow.ended`. */
export class EndedNode {
  readonly node: FlowNode

  /** @internal */
  constructor(node: FlowNode) {
    this.node = node
  }
}

/** What a node comes after: a node that must complete, or one that must only end. */
export type Upstream = FlowNode | EndedNode

export interface NodeOptions extends WorkSubmitOptions {
  /** Unique in its flow. @defaultValue the task's name and, when it is taken, a number */
  readonly name?: string
  /** What it waits for: one, a list, or a record whose names are those of its inputs. */
  readonly after?: Upstream | readonly Upstream[] | Readonly<Record<string, Upstream>>
  /** How what it waits for is joined. @defaultValue all of them */
  readonly join?: Join
}

/** An edge into a node that is being added. */
export interface InboundEdge {
  readonly from: FlowNode
  readonly kind: NonNullable<FlowEdge['kind']>
  readonly name: string | undefined
}

function refuse(argument: string, why: string): never {
  throw new EngineError('invalid_input', `${argument} ${why}`, { details: { argument, why } })
}

/** What a node waits for; `owns` tells which nodes belong to its flow. */
export function inboundEdges(
  { after, join }: NodeOptions,
  owns: (node: FlowNode) => boolean,
): readonly InboundEdge[] {
  const edges = named(after).map(([name, upstream]) => edgeFrom(name, upstream, owns))
  if (new Set(edges.map(({ from }) => from)).size < edges.length) {
    refuse('after', 'names a node twice')
  }
  checkNodeJoin(join, edges.length)
  return edges
}

function named(after: NodeOptions['after']): readonly (readonly [string | undefined, unknown])[] {
  if (after === undefined) return []
  if (after instanceof FlowNode || after instanceof EndedNode) return [[undefined, after]]
  if (Array.isArray(after)) return after.map((upstream) => [undefined, upstream])
  return Object.entries(after)
}

function edgeFrom(
  name: string | undefined,
  upstream: unknown,
  owns: (node: FlowNode) => boolean,
): InboundEdge {
  const from = upstream instanceof EndedNode ? upstream.node : upstream
  if (!(from instanceof FlowNode)) refuse('after', 'holds what is no node')
  if (!owns(from)) refuse('after', `holds the node ${from.name} of another flow`)
  if (name !== undefined) {
    checkWord('after', name)
    if (name === childEdge) refuse('after', `must not call a node ${childEdge}`)
  }
  return { from, kind: upstream instanceof EndedNode ? 'completion' : 'success', name }
}

function checkNodeJoin(join: Join | undefined, upstreamCount: number): void {
  if (join === undefined) return
  if (upstreamCount === 0) refuse('join', 'needs something to join: say after what it comes')
  checkJoin(join)
  if (join.k === undefined || join.k <= upstreamCount) return
  throw new EngineError('quorum_unreachable', `${join.k} of ${upstreamCount} cannot complete`, {
    details: { k: join.k, n: upstreamCount },
  })
}
