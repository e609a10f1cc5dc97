// The backend's operations on flows, over any store.
import { EngineError } from '../errors.ts'
import {
  digest,
  type ExecutionId,
  type ExecutionIdParts,
  formatExecutionId,
  LocalIdMaker,
  localIdOf,
  mintLeaseId,
  parseExecutionId,
  partitionOfDigest,
} from '../ids.ts'
import { bounds } from '../limits.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import { anyCount, checkArguments, checkWhole, parseCursor } from './arguments.ts'
import type { Handle, Page, RecordPage } from './backend.ts'
import type {
  CancelFlowOutcome,
  CancelFlowPolicy,
  CancelFlowWait,
  CreateFlowOutcome,
  Drained,
  DrainOptions,
  EdgeDirection,
  EdgeId,
  EdgeSnapshot,
  FlowId,
  FlowIngress,
  FlowMemberSummary,
  FlowOperations,
  FlowSnapshot,
  FlowSpec,
  FlowSummary,
  GraphChange,
  GraphOutcome,
  Join,
  UpstreamResult,
  WaitChildrenOutcome,
} from './backend-flow.ts'
import { corruptKey, readRows } from './corruption.ts'
import {
  readEdge,
  readFlow,
  readFlowState,
  readFlowSummary,
  readInput,
  readMember,
} from './flow-reading.ts'
import type { FlowRow, MemberPart } from './generated/operations.ts'
import { type Beginning, beginning, graphArguments } from './graph-arguments.ts'
import { parseHandle } from './handle.ts'
import { OperationCaller } from './operation-caller.ts'
import type { Store } from './store.ts'
import type { UsageRelay } from './usage-relay.ts'

/** Work that one drain takes up at most: bounds how long it keeps the server busy. */
const drainCount = 256
/** The longest that cancelling waits for members without a limit of the caller's. */
const waitCeilingMs = 300_000
const edgesPerPage = 1000

export class FlowBackend extends OperationCaller implements FlowOperations, FlowIngress {
  private readonly ids = new LocalIdMaker()
  private readonly usage: UsageRelay

  constructor(store: Store, usage: UsageRelay) {
    super(store)
    this.usage = usage
  }

  /** The operations alone, to be put beside others. */
  operations(): FlowOperations & FlowIngress {
    return {
      waitChildren: (handle, join, seen) => this.waitChildren(handle, join, seen),
      describeFlow: (id) => this.describeFlow(id),
      listEdges: (flowId, direction) => this.listEdges(flowId, direction),
      describeEdge: (flowId, edgeId) => this.describeEdge(flowId, edgeId),
      resolveExecutionFlowId: (id) => this.resolveExecutionFlowId(id),
      listFlows: (partition, cursor, limit) => this.listFlows(partition, cursor, limit),
      cancelFlow: (id, policy, wait, reason) => this.cancelFlow(id, policy, wait, reason),
      flowId: (idempotencyKey) => this.flowId(idempotencyKey),
      createFlow: (spec, change) => this.createFlow(spec, change),
      memberId: (flowId, name) => this.memberId(flowId, name),
      checkGraph: (flowId, change) => this.checkGraph(flowId, change),
      applyGraph: (flowId, change) => this.applyGraph(flowId, change),
      listMembers: (flowId, cursor, limit) => this.listMembers(flowId, cursor, limit),
      readInputs: (id, after, limit) => this.readInputs(id, after, limit),
      replaySubgraph: (id, replayId) => this.replaySubgraph(id, replayId),
      purgeFlow: (id) => this.purgeFlow(id),
      drain: (partition, options) => this.drain(partition, options),
      onBacklog: (listener) => this.onBacklog(listener),
    }
  }

  async waitChildren(handle: Handle, join?: Join, seen?: number): Promise<WaitChildrenOutcome> {
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const { outcome, state, replayed } = await this.call(partition, 'execution.wait_children', {
      ...fence,
      digest: digest('wait_children', JSON.stringify(join ?? {})),
      policy: join?.policy,
      k: join?.k,
      impossible: join?.impossible,
      collect: join?.collect,
      seen,
    })
    return { outcome, state: state as LeafName, replayed }
  }

  flowId(idempotencyKey?: string): FlowId {
    const { partition, local } = this.placeOf({ idempotencyKey })
    return formatExecutionId(partition, local)
  }

  async createFlow(spec: FlowSpec, change: GraphChange = {}): Promise<CreateFlowOutcome> {
    const { partition, local } = this.placeOf(spec)
    const flowId = formatExecutionId(partition, local)
    const { created } = await this.change(flowId, change, beginning(spec))
    return { outcome: created ? 'created' : 'exists', flowId }
  }

  memberId(flowId: FlowId, name: string): ExecutionId {
    const { partition, local } = parseExecutionId(flowId)
    return formatExecutionId(partition, localIdOf('member', local, name))
  }

  checkGraph(flowId: FlowId, change: GraphChange): void {
    checkArguments('flow.apply', { ...graphArguments(this.store.kind, flowId, change) })
  }

  async applyGraph(flowId: FlowId, change: GraphChange): Promise<GraphOutcome> {
    const { local } = parseExecutionId(flowId)
    const { created: _, state, ...answer } = await this.change(flowId, change)
    return { ...answer, state: readFlowState(local, state) }
  }

  private async change(flowId: FlowId, change: GraphChange, begin?: Beginning) {
    const { partition } = parseExecutionId(flowId)
    const args = graphArguments(this.store.kind, flowId, change, begin)
    await this.attachBudgets(partition, args.members)
    return this.call(partition, 'flow.apply', args)
  }

  /** Before there is work that its budgets may keep back, they must know where to tell it. */
  private async attachBudgets(partition: number, members: readonly MemberPart[]): Promise<void> {
    const named = members.flatMap(({ budgets }) => budgets?.split(',') ?? [])
    if (named.length > 0) await this.usage.attach(partition, [...new Set(named)].join(','))
  }

  async describeFlow(id: FlowId): Promise<FlowSnapshot | undefined> {
    const { partition, local } = parseExecutionId(id)
    if (partition >= this.store.partitionCount) return undefined
    const answer = await this.call(partition, 'flow.describe', { flow: local })
    return answer.outcome === 'absent' ? undefined : readFlow(partition, local, answer)
  }

  async listFlows(
    partition: number,
    cursor: FlowId | undefined,
    limit: number,
  ): Promise<RecordPage<FlowSummary, FlowId>> {
    checkWhole('limit', limit, anyCount)
    checkWhole('partition', partition, { min: 0, max: this.store.partitionCount - 1 })
    const after = cursor === undefined ? undefined : parseCursor(cursor)
    const count = Math.min(limit, bounds.page_count.max)
    const { flows, more } = await this.call(partition, 'flow.list', { after, count })
    const idOf = ({ id }: FlowRow) => formatExecutionId(partition, id)
    const last = flows.at(-1)
    const nextCursor = more && last !== undefined ? idOf(last) : undefined
    return { ...readRows(flows, idOf, (row) => readFlowSummary(partition, row)), nextCursor }
  }

  async listMembers(
    flowId: FlowId,
    cursor: ExecutionId | undefined,
    limit: number,
  ): Promise<Page<FlowMemberSummary, ExecutionId>> {
    checkWhole('limit', limit, anyCount)
    const { partition, local } = parseExecutionId(flowId)
    const after = cursor === undefined ? undefined : parseCursor(cursor)
    const count = Math.min(limit, bounds.page_count.max)
    const args = { flow: local, after, count }
    const { members, more } = await this.call(partition, 'flow.members', args)
    const items = members.map((row) => readMember(partition, row))
    return { items, nextCursor: more ? items.at(-1)?.executionId : undefined }
  }

  async listEdges(flowId: FlowId, direction: EdgeDirection): Promise<readonly EdgeSnapshot[]> {
    const isInbound = 'incoming' in direction
    const { partition, local } = parseExecutionId(
      isInbound ? direction.incoming : direction.outgoing,
    )
    if (partition !== parseExecutionId(flowId).partition) return []
    if ((await this.resolveExecutionFlowId(formatExecutionId(partition, local))) !== flowId)
      return []
    const edges: EdgeSnapshot[] = []
    for (let [after, more] = [0, true]; more; after += edgesPerPage) {
      const page = await this.call(partition, 'edge.list', {
        id: local,
        direction: isInbound ? 'incoming' : 'outgoing',
        after,
        count: edgesPerPage,
      })
      for (const row of page.edges) edges.push(readEdge(partition, flowId, row))
      more = page.more
    }
    return edges
  }

  async describeEdge(flowId: FlowId, edgeId: EdgeId): Promise<EdgeSnapshot | undefined> {
    const { partition, local } = parseExecutionId(flowId)
    const [upstream = '', downstream = ''] = String(edgeId).split('.')
    const args = { flow: local, upstream, downstream }
    const answer = await this.call(partition, 'edge.describe', args)
    const row = answer.outcome === 'absent' ? undefined : answer.edges[0]
    return row && readEdge(partition, flowId, row)
  }

  async resolveExecutionFlowId(id: ExecutionId): Promise<FlowId | undefined> {
    const { partition, local } = parseExecutionId(id)
    if (partition >= this.store.partitionCount) return undefined
    const answer = await this.call(partition, 'execution.flow', { id: local })
    if (answer.outcome === 'absent' || answer.flow === undefined) return undefined
    const flowId = formatExecutionId(partition, answer.flow)
    if (/^[0-9a-z]{26}$/.test(answer.flow)) return flowId
    return corruptKey(`x:${local}`, 'flow', `no flow id: ${answer.flow}`)
  }

  async cancelFlow(
    id: FlowId,
    policy: CancelFlowPolicy,
    wait: CancelFlowWait,
    reason = '',
  ): Promise<CancelFlowOutcome> {
    const { partition, local } = parseExecutionId(id)
    const waitMs = waitMsOf(wait)
    const startedMs = performance.now()
    const args = { flow: local, policy, why: reason }
    let answer = await this.call(partition, 'flow.cancel', args)
    while (answer.outcome === 'cancelled' && answer.left && waitMs > 0) {
      const elapsedMs = performance.now() - startedMs
      if (elapsedMs >= waitMs) {
        throw new EngineError('cancel_timeout', `${id} still has members to cancel`, {
          details: { flowId: id, elapsedMs: Math.round(elapsedMs) },
        })
      }
      await this.drain(partition)
      const { replayed } = answer
      const again = await this.call(partition, 'flow.cancel', args)
      answer = again.outcome === 'cancelled' ? { ...again, replayed } : again
    }
    if (answer.outcome === 'already_ended') {
      return { outcome: 'already_ended', state: readFlowState(local, answer.state) }
    }
    return {
      outcome: answer.left ? 'scheduled' : 'cancelled',
      policy: answer.policy as CancelFlowPolicy,
      unfinished: answer.unfinished,
      replayed: answer.replayed,
    }
  }

  async readInputs(
    id: ExecutionId,
    after: number,
    limit: number,
  ): Promise<Page<UpstreamResult, number>> {
    const { partition, local } = parseExecutionId(id)
    const count = Math.min(limit, bounds.page_count.max)
    const page = await this.call(partition, 'execution.inputs', { id: local, after, count })
    const items = page.inputs.map((row) => readInput(partition, row))
    return { items, nextCursor: page.more ? after + items.length : undefined }
  }

  async replaySubgraph(
    id: ExecutionId,
    replayId: string = mintLeaseId(),
  ): Promise<{ readonly replays: number }> {
    const { partition, local } = parseExecutionId(id)
    const args = { id: local, replay_id: replayId }
    const { replays } = await this.call(partition, 'flow.replay', args)
    return { replays }
  }

  async purgeFlow(id: FlowId): Promise<{ readonly outcome: 'purged' | 'absent' }> {
    const { partition, local } = parseExecutionId(id)
    let answer = await this.call(partition, 'flow.purge', { flow: local })
    const { outcome } = answer
    while (answer.outcome === 'purged' && answer.left) {
      answer = await this.call(partition, 'flow.purge', { flow: local })
    }
    return { outcome }
  }

  async drain(
    partition: number,
    { count = drainCount, again = false }: DrainOptions = {},
  ): Promise<Drained> {
    const answer = await this.call(partition, 'partition.drain', { count, again })
    const { done, left, stuck, why } = answer
    return { done, left, stuck, why }
  }

  onBacklog(listener: (partition: number | undefined) => void): Promise<() => void> {
    return this.store.listen((told) => {
      if (told.notice === 'backlog') listener(told.partition)
      else if (told.notice === 'gap') listener(undefined)
    })
  }

  /** Where a flow lies: beside its root, or where its key or its own id says. */
  private placeOf({ flowId, idempotencyKey: key, root }: Partial<FlowSpec>): ExecutionIdParts {
    if (flowId !== undefined) return parseExecutionId(flowId)
    const local = key === undefined ? this.ids.next(Date.now()) : localIdOf('flow', key)
    const place = key === undefined ? digest('flow', local) : digest('flow', key)
    const partition =
      root === undefined
        ? partitionOfDigest(place, this.store.partitionCount)
        : parseExecutionId(root).partition
    return { partition, local }
  }
}

function waitMsOf(wait: CancelFlowWait): number {
  if (wait === 'no_wait') return 0
  if (wait === 'indefinite') return waitCeilingMs
  checkWhole('timeoutMs', wait?.timeoutMs, { min: 0, max: waitCeilingMs })
  return wait.timeoutMs
}
