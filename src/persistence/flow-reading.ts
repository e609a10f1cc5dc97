// Reads stored flows, groups and edges back as typed values, and refuses what does not parse.
import { formatExecutionId } from '../ids.ts'
import { type Choice, choices } from '../limits.ts'
import type { PublicState } from '../machines/execution.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import { leafOf } from '../machines/table.ts'
import type {
  CompletionPolicy,
  EdgeSnapshot,
  FailurePolicy,
  FlowMemberSummary,
  FlowSnapshot,
  FlowState,
  FlowSummary,
  GroupSnapshot,
  UpstreamResult,
} from './backend-flow.ts'
import type { Answer } from './contract.ts'
import { corruptKey, wholeNumber } from './corruption.ts'
import type { EdgeRow, FlowRow, InputRow, MemberRow } from './generated/operations.ts'

function choiceOf<Kind extends keyof typeof choices>(
  key: string,
  kind: Kind,
  text: string,
): Choice<Kind> {
  const known = choices[kind] as readonly string[]
  return known.includes(text) ? (text as Choice<Kind>) : corruptKey(key, kind, `unknown: ${text}`)
}

function optionalChoice<Kind extends keyof typeof choices>(
  key: string,
  kind: Kind,
  text: string | undefined,
): Choice<Kind> | undefined {
  return text === undefined || text === '' ? undefined : choiceOf(key, kind, text)
}

const flowStates: readonly string[] = ['open', 'completed', 'failed', 'cancelled']

export function readFlowState(key: string, text: string | undefined): FlowState {
  if (text !== undefined && flowStates.includes(text)) return text as FlowState
  return corruptKey(key, 'state', text === undefined ? 'missing' : `unknown: ${text}`)
}

function readWhole(key: string, name: string, text: string | undefined): number {
  if (text === undefined) return corruptKey(key, name, 'missing')
  return wholeNumber(text) ?? corruptKey(key, name, 'no whole number')
}

/** One row of a partition's flows. */
export function readFlowSummary(partition: number, row: FlowRow): FlowSummary {
  const key = `flow:${row.id}`
  return {
    flowId: formatExecutionId(partition, row.id),
    createdAtMs: readWhole(key, 'created_at', row.created_at),
    state: readFlowState(key, row.state),
  }
}

const counted = [
  'waiting',
  'blocked',
  'delayed',
  'waiting_children',
  'active',
  'suspended',
  'completed',
  'failed',
  'cancelled',
  'expired',
  'skipped',
] as const satisfies readonly Exclude<PublicState, 'absent'>[]

const ended = ['completed', 'failed', 'cancelled', 'expired', 'skipped'] as const

/** The public view of a stored flow. */
export function readFlow(
  partition: number,
  local: string,
  found: Extract<Answer<'flow.describe'>, { outcome: 'found' }>,
): FlowSnapshot {
  const flowId = formatExecutionId(partition, local)
  const key = `flow:${local}`
  const { fields } = found
  const number = (name: string) => readWhole(key, name, fields[name])
  const optionalNumber = (name: string) => (fields[name] === undefined ? undefined : number(name))
  const state = readFlowState(key, fields.state)
  const counts = Object.fromEntries(counted.map((name) => [name, optionalNumber(name) ?? 0]))
  const members = optionalNumber('members') ?? 0
  const count = (name: string) => counts[name] ?? 0
  const idle = count('waiting') + count('active') === 0
  const unfinished = ended.reduce((left, name) => left - count(name), members)
  const openState = count('active') > 0 ? 'running' : idle && unfinished > 0 ? 'blocked' : 'open'
  return {
    flowId,
    kind: fields.kind ?? corruptKey(key, 'kind', 'missing'),
    state,
    publicState: state === 'open' ? openState : state,
    failure: (optionalChoice(key, 'flow_failure', fields.failure) ?? 'isolate') as FailurePolicy,
    completion: (optionalChoice(key, 'flow_completion', fields.completion) ??
      'all') as CompletionPolicy,
    root: fields.root === undefined ? undefined : formatExecutionId(partition, fields.root),
    sealed: fields.sealed !== undefined,
    revision: optionalNumber('revision') ?? 0,
    members,
    edges: optionalNumber('edges') ?? 0,
    counts: counts as FlowSnapshot['counts'],
    unfinished,
    createdAtMs: number('created_at'),
    updatedAtMs: number('updated_at'),
    endedAtMs: optionalNumber('ended_at'),
    reason: fields.reason,
    cancelPolicy: optionalChoice(key, 'cancel_policy', fields.cancel_policy),
    cancelling: fields.cancelling !== undefined,
    tags: found.tags === undefined ? {} : readTags(key, found.tags),
  }
}

function readTags(key: string, text: string): Readonly<Record<string, string>> {
  try {
    return JSON.parse(text) as Record<string, string>
  } catch {
    return corruptKey(key, 'tags', 'not JSON')
  }
}

const groupStates: readonly string[] = ['pending', 'satisfied', 'impossible', 'closed']

export function readGroup(key: string, text: string): GroupSnapshot {
  const [policy = '', state = '', k, remaining, impossible, collect, ...rest] = text.split(' ')
  const [total, satisfied, failed, skipped] = rest.map((word) => Number(word))
  if (!groupStates.includes(state)) corruptKey(key, 'state', `unknown: ${state}`)
  const count = (value: number | undefined) =>
    Number.isSafeInteger(value) ? (value as number) : corruptKey(key, 'counts', 'no whole number')
  return {
    policy: choiceOf(key, 'join_policy', policy),
    k: k === '' || k === undefined ? undefined : count(Number(k)),
    remaining: optionalChoice(key, 'join_remaining', remaining),
    impossible: optionalChoice(key, 'join_impossible', impossible),
    collect: optionalChoice(key, 'join_collect', collect),
    state: state as GroupSnapshot['state'],
    sealed: rest[4] === 'sealed',
    total: count(total),
    satisfied: count(satisfied),
    failed: count(failed),
    skipped: count(skipped),
  }
}

/** One row of a flow's members. */
export function readMember(partition: number, row: MemberRow): FlowMemberSummary {
  const leaf = leafOf(row.state) ?? corruptKey(`x:${row.id}`, 'state', `unknown: ${row.state}`)
  return {
    executionId: formatExecutionId(partition, row.id),
    task: row.task,
    state: row.state as LeafName,
    publicState: leaf.public,
    group: row.group === undefined ? undefined : readGroup(`group:${row.id}`, row.group),
  }
}

const edgeStates: Readonly<Record<string, EdgeSnapshot['state']>> = {
  u: 'pending',
  s: 'satisfied',
  f: 'failed',
  x: 'skipped',
}

const edgeKinds: Readonly<Record<string, EdgeSnapshot['kind']>> = { s: 'success', c: 'completion' }

export function readEdge(partition: number, flowId: string, row: EdgeRow): EdgeSnapshot {
  const key = `group:${row.downstream}`
  return {
    edgeId: `${row.upstream}.${row.downstream}`,
    flowId,
    upstream: formatExecutionId(partition, row.upstream),
    downstream: formatExecutionId(partition, row.downstream),
    kind: edgeKinds[row.kind] ?? corruptKey(key, row.upstream, `kind: ${row.kind}`),
    state: edgeStates[row.vote] ?? corruptKey(key, row.upstream, `vote: ${row.vote}`),
    name: row.name === '' ? undefined : row.name,
    createdAtMs: row.created_at,
  }
}

export function readInput(partition: number, row: InputRow): UpstreamResult {
  return {
    executionId: formatExecutionId(partition, row.id),
    name: row.name === '' ? undefined : row.name,
    task: row.task,
    publicState: row.state as PublicState,
    reason: row.reason === '' ? undefined : row.reason,
    ending: row.ending,
  }
}
