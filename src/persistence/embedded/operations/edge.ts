// Edges between the members of a flow, and what upstreams came to.
import { bytesMax } from '../../../limits.ts'
import type { Answer, Arguments } from '../../contract.ts'
import type { EdgeRow, InputRow } from '../../generated/operations.ts'
import type { CallContext } from '../call-context.ts'
import { publicState } from '../dependents.ts'
import { absentFields } from '../execution-fields.ts'
import { edgeOf, loadGroup, requireEdge } from '../group.ts'

/** Undefined when the downstream has been forgotten, with a part of its flow. */
function edgeRow(call: CallContext, upstream: string, downstream: string): EdgeRow | undefined {
  if (!call.keyspace.executions.has(downstream)) return undefined
  const { kind, vote, createdAtMs, name } = requireEdge(loadGroup(call, downstream), upstream)
  return { upstream, downstream, kind, vote, created_at: createdAtMs, name }
}

export function listEdges(
  call: CallContext,
  { id, direction, after, count }: Arguments<'edge.list'>,
): Answer<'edge.list'> {
  const stored = call.keyspace.executions.get(id)
  const isInbound = direction === 'incoming'
  const found = (isInbound ? stored?.up : stored?.down) ?? []
  const page = found.slice(after, after + count)
  const edges = page.flatMap(
    (other) => (isInbound ? edgeRow(call, other, id) : edgeRow(call, id, other)) ?? [],
  )
  return { outcome: 'listed', edges, more: found.length > after + count }
}

export function describeEdge(
  call: CallContext,
  { flow, upstream, downstream }: Arguments<'edge.describe'>,
): Answer<'edge.describe'> {
  const stored = call.keyspace.executions.get(downstream)
  if (stored?.fields.flow !== flow) return { outcome: 'absent' }
  if (edgeOf(loadGroup(call, downstream), upstream) === undefined) return { outcome: 'absent' }
  const row = edgeRow(call, upstream, downstream)
  return { outcome: 'found', edges: row === undefined ? [] : [row] }
}

export function flowOfExecution(
  { keyspace }: CallContext,
  { id }: Arguments<'execution.flow'>,
): Answer<'execution.flow'> {
  const stored = keyspace.executions.get(id)
  if (stored === undefined) return { outcome: 'absent' }
  return { outcome: 'found', flow: stored.fields.flow }
}

export function readInputs(
  call: CallContext,
  { id, after, count }: Arguments<'execution.inputs'>,
): Answer<'execution.inputs'> {
  const { keyspace } = call
  const stored = keyspace.executions.get(id)
  const found = stored?.up?.slice(after, after + count + 1) ?? []
  const inputs: InputRow[] = []
  let bytes = 0
  for (const upstream of found.slice(0, count)) {
    const from = keyspace.executions.get(upstream)
    const { task, reason = '', ended_at: endedAt } = from?.fields ?? absentFields
    const ending = endedAt === undefined ? undefined : from?.ending
    bytes += ending?.byteLength ?? 0
    if (inputs.length > 0 && bytes > bytesMax.page) break
    const { name } = requireEdge(loadGroup(call, id), upstream)
    const state = publicState(from ?? { fields: absentFields })
    inputs.push({ id: upstream, name, task, state, reason, ending })
  }
  return { outcome: 'found', inputs, more: found.length > inputs.length }
}
