// Changes of graphs as the arguments of the operation that applies them.
import { EngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import { bounds } from '../limits.ts'
import { checkWord } from './arguments.ts'
import type { FlowId, FlowMember, FlowSpec, GraphChange } from './backend-flow.ts'
import type { Arguments } from './contract.ts'
import type { MemberPart } from './generated/operations.ts'
import { parseHandle } from './handle.ts'
import type { Store } from './store.ts'
import { storedTags, submitArguments } from './submission.ts'

/** How a flow begins, unless it is there already. */
export type Beginning = Partial<
  Pick<
    Arguments<'flow.apply'>,
    'kind' | 'failure' | 'completion' | 'root' | 'retention_ms' | 'tags'
  >
>

export function beginning({
  kind,
  failure,
  completion,
  root,
  retentionMs,
  tags,
}: FlowSpec): Beginning {
  checkWord('kind', kind)
  return {
    kind,
    failure: failure === 'isolate' ? undefined : failure,
    completion: completion === 'all' ? undefined : completion,
    root: root === undefined ? undefined : parseExecutionId(root).local,
    retention_ms: retentionMs === 'forever' ? bounds.retention_ms.max : retentionMs,
    tags: storedTags(tags),
  }
}

/** `begin` says how the flow begins, unless it is there already. */
export function graphArguments(
  storeKind: Store['kind'],
  flowId: FlowId,
  change: GraphChange,
  begin: Beginning = {},
): Arguments<'flow.apply'> {
  const { partition, local } = parseExecutionId(flowId)
  const inFlow = (id: ExecutionId) => localIn(partition, id)
  const holder = change.parent === undefined ? undefined : parseHandle(storeKind, change.parent)
  if (holder !== undefined && holder.partition !== partition) refuseElsewhere()
  return {
    flow: local,
    members: (change.members ?? []).map((member) => memberPart(partition, member)),
    joins: (change.joins ?? []).map(({ downstream, ...join }) => ({
      downstream: inFlow(downstream),
      policy: join.policy,
      k: join.k,
      remaining: join.remaining,
      impossible: join.impossible,
      collect: join.collect,
    })),
    edges: (change.edges ?? []).map(({ upstream, downstream, kind, name }) => ({
      upstream: inFlow(upstream),
      downstream: inFlow(downstream),
      kind: kind ?? 'success',
      name,
    })),
    seal: change.seal?.length ? change.seal.map(inFlow).join(',') : undefined,
    finish: change.finish ?? false,
    parent: holder?.id,
    attempt: holder?.attempt,
    lease_id: holder?.lease_id,
    epoch: holder?.epoch,
    kind: begin.kind,
    failure: begin.failure,
    completion: begin.completion,
    root: begin.root,
    retention_ms: begin.retention_ms,
    tags: begin.tags,
  }
}

function refuseElsewhere(): never {
  throw new EngineError('invalid_input', 'a member lives in another partition than its flow', {
    details: { argument: 'members' },
  })
}

/** The local part of a member's id, which must lie in its flow's partition. */
function localIn(partition: number, id: ExecutionId): string {
  const parts = parseExecutionId(id)
  return parts.partition === partition ? parts.local : refuseElsewhere()
}

function memberPart(partition: number, { id, hold, ...submission }: FlowMember): MemberPart {
  const { key: _key, fingerprint: _fingerprint, ...work } = submitArguments(submission)
  return { id: localIn(partition, id), ...work, hold: hold ?? false }
}
