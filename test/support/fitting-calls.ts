// Calls of stored operations that fit their plans, for executions that are there.
import { choices } from '../../src/limits.ts'
import type { OperationName } from '../../src/persistence/contract.ts'
import { operationPlans } from '../../src/persistence/generated/operations.ts'
import type { Brought } from './leaves.ts'
import type { Random } from './random.ts'
import { startMs } from './settable-clock.ts'

export type CallArguments = Readonly<Record<string, unknown>>

function fittingMember(id: string): CallArguments {
  return { id, lane: 'lane', task: 'task', input: Buffer.from('input'), hold: false }
}

/** Arguments for the operation about one of the executions, as its last holder would send them. */
export function fittingArguments(
  random: Random,
  executions: readonly Brought[],
  name: OperationName,
): CallArguments {
  const { id, handle } = random.one(executions)
  const [, , attempt = '0', leaseId = 'nobody.1', epoch = '1'] = handle?.opaque.split('|') ?? []
  const values: Readonly<Record<string, readonly unknown[]>> = {
    id: [id.split('-')[1]],
    index: [Number(attempt)],
    word: [leaseId, 'reason', 'worker'],
    lease_stem: ['stem'],
    epoch: [Number(epoch)],
    digest: ['d'.repeat(22)],
    text: ['text'],
    input: [Buffer.from('input')],
    failure: [Buffer.from('{"message":"oops"}')],
    flag: [true, false],
    lane_state: ['active', 'paused', 'draining'],
    lanes: ['runnable.ready,delayed.retry', 'leased.expired'],
    grant_of: ['runnable', 'leased'],
    kinds: ['frc', 'f'],
    class: ['transient', 'permanent'],
    capabilities: ['', 'a,b'],
    retry: ['3 fixed 1000 60000 2000 0 ti'],
    tags: ['{}'],
    tag_digests: ['t'.repeat(44)],
    leaves: ['runnable.ready,suspended'],
    points: [`${'p'.repeat(22)} key k1`, 'd'.repeat(22)],
    condition: ['s 0 *', 'operator'],
    behaviour: ['fail', 'auto_resume_with_signal', 'escalate'],
    waitpoint_scope: ['attempt', 'run'],
    kid: ['k1'],
    owed_row: ['check 1 api - x:1'],
    secret: ['s'.repeat(43)],
    label: ['', 'somebody'],
    signal_name: ['approved'],
    signal_source: ['webhook', 'operator'],
    signal_category: ['approval'],
    signal_payload: [Buffer.from('payload')],
    allowance: [5],
    allowance_ms: [1000],
    waitpoint_ms: [1000],
    window_ms: [1000],
    ms: [startMs + 5000],
    lease_ms: [1000],
    attempt_timeout_ms: [1000],
    grant_ms: [1000],
    frame_mode: ['durable', 'live'],
    frame_encoding: ['binary', 'utf8', 'json'],
    frame_number: [1, 2],
    frame_cursor: [0, 1],
    summary_version: [0, 1],
    ids: [id.split('-')[1]],
    members: [[], [fittingMember(id.split('-')[1] ?? '')]],
    edges: [[], [{ upstream: id.split('-')[1], downstream: id.split('-')[1], kind: 'success' }]],
    joins: [[], [{ downstream: id.split('-')[1], policy: 'all' }]],
    ...choices,
    frame: [Buffer.from([0, 255])],
    document: [Buffer.from('{}')],
    budget_id: ['budget', 'none'],
    budget_ids: ['budget', 'budget,none'],
    budget_version: [0, 2_000_000_000_000_000],
    execution: [id],
    amounts: ['tokens 5', 'tokens 5,calls 1'],
    dimension_limits: ['', 'tokens 20 10'],
    hard_limit_action: ['warn', 'fail'],
    usage_mode: ['record', 'enforce'],
    usage_result: ['ok'],
    usage_seq: [7, 2_000_000_000_000_000],
    usage_settled: [0, 6],
    partition: [0],
    reset_ms: [1000],
    reservation_ms: [1000],
  }
  const args: Record<string, unknown> = {}
  for (const { name: argument, type, optional } of operationPlans[name].args) {
    if (optional && random.below(2) === 0) continue
    args[argument] = random.one(values[type] ?? [7])
  }
  return args
}
