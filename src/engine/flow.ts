// Builds a flow: a graph of executions in which each starts when those before it allow.
import { EngineError, isEngineError } from '../errors.ts'
import { bytesMax, counts } from '../limits.ts'
import { checkWord } from '../persistence/arguments.ts'
import type {
  EngineBackend,
  FailurePolicy,
  FlowId,
  FlowMember,
  FlowSpec,
  GraphChange,
} from '../persistence/backend.ts'
import type { Duration } from '../time.ts'
import { graphChanges, type PlannedMember } from './flow-graph.ts'
import {
  EndedNode,
  FlowNode,
  type InboundEdge,
  inboundEdges,
  type NodeOptions,
} from './flow-node.ts'
import type { FlowRun } from './flow-run.ts'
import type { Codec } from './json-codec.ts'
import { MemberNames } from './member.ts'
import { prepareSubmission } from './submission.ts'
import { type AnyTask, storedPolicies, type Task } from './task.ts'

export interface FlowOptions {
  /** The same key with the same graph answers with the same flow, and adds what is missing. */
  readonly idempotencyKey?: string
  /**
   * What a node that fails means for the flow: `isolate` skips what depends on it and lets the rest
   * go on; `fail_fast` ends the flow at once. @defaultValue 'isolate'
   */
  readonly failure?: FailurePolicy
  /** How long the ended flow and its executions are kept. @defaultValue '1d' */
  readonly retention?: Duration | 'forever'
  /** Kept with the flow, for those who look. */
  readonly tags?: Readonly<Record<string, string>>
}

export interface FlowParts {
  readonly backend: Pick<
    EngineBackend,
    'applyGraph' | 'checkGraph' | 'createFlow' | 'describeFlow' | 'flowId' | 'memberId'
  >
  readonly codec: Codec
  readonly held: (id: FlowId, duplicate: boolean) => FlowRun
}

interface AddedNode {
  readonly node: FlowNode
  readonly task: AnyTask
  readonly input: unknown
  readonly options: NodeOptions
  readonly edges: readonly InboundEdge[]
}

/** A flow that is being built. Nothing is stored before `submit`. */
export class Flow {
  readonly kind: string
  private readonly parts: FlowParts
  private readonly options: FlowOptions
  private readonly names = new MemberNames()
  private readonly nodes = new Map<string, AddedNode>()
  /** Known once it was submitted, so that submitting again goes on with the same flow. */
  private id: FlowId | undefined

  /** @internal */
  constructor(kind: string, options: FlowOptions, parts: FlowParts) {
    checkWord('kind', kind)
    checkKey(options.idempotencyKey)
    this.kind = kind
    this.options = options
    this.parts = parts
  }

  /**
   * Adds an execution of a task. It starts once what it comes `after` has completed, or as its
   * `join` says; in its code `ctx.inputs()` tells what those came to.
   *
   * @throws EngineError `invalid_input`, also for a name that is taken; `quorum_unreachable`.
   */
  add<Input, Output>(
    task: Task<Input, Output>,
    input: Input,
    options: NodeOptions = {},
  ): FlowNode<Output> {
    if (this.id !== undefined) refuse('flow', 'was submitted already')
    const edges = inboundEdges(options, (node) => this.nodes.get(node.name)?.node === node)
    const name = this.names.take(task.name, options.name)
    const node = new FlowNode<Output>(name, task.name)
    this.nodes.set(name, { node, task, input, options, edges })
    return node
  }

  /** A node to come after however it ends: its failure is then an input like any other. */
  ended(node: FlowNode): EndedNode {
    return new EndedNode(node)
  }

  /**
   * Stores the flow; what can start, starts. Up to 256 nodes are stored all or nothing; a larger
   * graph follows piece by piece. After a crash in between, submitting the same graph under the
   * same key goes on, as does another `submit` of this builder; so it is when a later piece is
   * refused, and what was stored before runs meanwhile. With a `root`, the flow comes to what that
   * node comes to.
   *
   * @throws EngineError `invalid_input` and `graph_too_large`; `flow_differs` when the key belongs
   * to a flow with other options; `flow_ended` when it belongs to one that has ended without these
   * nodes; `lane_closed`; `budget_not_found`.
   */
  async submit({ root }: { readonly root?: FlowNode } = {}): Promise<FlowRun> {
    const { backend, held } = this.parts
    if (this.nodes.size === 0) refuse('flow', 'has no nodes')
    checkSize(this.nodes.size)
    if (root !== undefined && this.nodes.get(root.name)?.node !== root) {
      refuse('root', 'is a node of another flow')
    }
    this.id ??= backend.flowId(this.options.idempotencyKey)
    const flowId = this.id
    const changes = graphChanges(await this.planned(flowId))
    for (const change of changes) backend.checkGraph(flowId, change)
    return held(flowId, await this.store(flowId, this.spec(flowId, root), changes))
  }

  /** Returns whether the flow was there before. */
  private async store(
    flowId: FlowId,
    spec: FlowSpec,
    [first, ...rest]: readonly GraphChange[],
  ): Promise<boolean> {
    const { backend } = this.parts
    let wasThere = true
    try {
      wasThere = (await backend.createFlow(spec, first)).outcome === 'exists'
      for (const change of rest) await backend.applyGraph(flowId, change)
    } catch (error) {
      // It failed or was cancelled before all of it was there: its run tells so.
      const isOver = isEngineError(error, 'flow_ended')
      if (!isOver || (await backend.describeFlow(flowId))?.sealed !== false) throw error
    }
    return wasThere
  }

  private spec(flowId: FlowId, root: FlowNode | undefined): FlowSpec {
    const { failure, retention, tags } = this.options
    const { kind } = this
    const { retentionMs } = storedPolicies(retention === undefined ? {} : { retention })
    const spec = { flowId, kind, failure, retentionMs, tags }
    if (root === undefined) return spec
    return { ...spec, completion: 'root', root: this.parts.backend.memberId(flowId, root.name) }
  }

  private planned(flowId: FlowId): Promise<PlannedMember[]> {
    const { backend, codec } = this.parts
    const idOf = ({ name }: FlowNode) => backend.memberId(flowId, name)
    return Promise.all(
      [...this.nodes.values()].map(async ({ node, task, input, options, edges }) => {
        const { name: _name, after: _after, join, ...rest } = options
        const submission = await prepareSubmission(codec, task, input, rest)
        const member: FlowMember = { ...submission, id: idOf(node) }
        const inbound = edges.map(({ from, kind, name }) => ({
          upstream: idOf(from),
          downstream: member.id,
          kind,
          name,
        }))
        return { member, edges: inbound, join }
      }),
    )
  }
}

function refuse(argument: string, why: string): never {
  throw new EngineError('invalid_input', `${argument} ${why}`, { details: { argument, why } })
}

function checkKey(key: string | undefined): void {
  if (key === undefined) return
  const length = typeof key === 'string' ? Buffer.byteLength(key) : 0
  if (length < 1 || length > bytesMax.label) {
    refuse('idempotencyKey', `must be 1 to ${bytesMax.label} bytes`)
  }
}

function checkSize(size: number): void {
  const most = counts.flowMembersMax
  if (size <= most) return
  throw new EngineError('graph_too_large', `${size} nodes are more than ${most}`, {
    details: { what: 'members', most },
  })
}
