// Flows as a whole: beginning, growing, cancelling, reading and forgetting them.
import { choices, counts } from '../../../limits.ts'
import type { Answer, Arguments, Refusal } from '../../contract.ts'
import type { MemberRow } from '../../generated/operations.ts'
import { type CallContext, refuse } from '../call-context.ts'
import {
  createFlow,
  decideFlow,
  doomFlow,
  finishFlow,
  flowState,
  loadFlow,
  unfinished,
} from '../flow.ts'
import { applyGraph, sealFlow } from '../graph.ts'
import { GraphPlan, planGraph } from '../graph-plan.ts'
import { groupOf, groupWords } from '../group.ts'
import type { StoredExecution } from '../record.ts'
import { runAgain } from '../replay.ts'
import { removeFlow } from '../retire.ts'
import { workIn } from '../work.ts'

const notFound = (flow: string): Refusal => refuse('flow_not_found', { flow })

export function apply(call: CallContext, args: Arguments<'flow.apply'>): Answer<'flow.apply'> {
  const plan = planGraph(call, args)
  if (!(plan instanceof GraphPlan)) return plan
  const { begins, flow, added, edges } = plan
  if (begins) createFlow(call, flow, args)
  applyGraph(call, plan)
  if (args.finish) sealFlow(call, flow)
  return {
    outcome: 'applied',
    created: begins,
    added: added.length,
    linked: edges.length,
    members: flow.hash.number('members'),
    revision: flow.hash.number('revision'),
    state: flowState(flow),
  }
}

const rankOf = (policy: string | undefined): number =>
  (choices.cancel_policy as readonly (string | undefined)[]).indexOf(policy)

export function cancelFlow(
  call: CallContext,
  { flow: id, policy, why }: Arguments<'flow.cancel'>,
): Answer<'flow.cancel'> {
  const flow = loadFlow(call, id)
  if (flow === undefined) return notFound(id)
  const { hash } = flow
  const state = flowState(flow)
  if (state !== 'open' && state !== 'cancelled') return { outcome: 'already_ended', state }
  const isWider = rankOf(policy) > rankOf(hash.get('cancel_policy'))
  if (isWider) {
    if (state === 'open') finishFlow(call, flow, 'cancelled', why === '' ? 'flow_cancelled' : why)
    else call.feed.flow(id, 'cancelFlow', state, policy)
    doomFlow(call, flow, policy)
    call.backlog.run(workIn(call), counts.workPerCall)
    decideFlow(call, flow)
  }
  return {
    outcome: 'cancelled',
    policy: hash.get('cancel_policy') ?? policy,
    unfinished: unfinished(flow),
    left: hash.get('cancelling') !== undefined,
    replayed: !isWider,
  }
}

export function describeFlow(
  { keyspace }: CallContext,
  { flow: id }: Arguments<'flow.describe'>,
): Answer<'flow.describe'> {
  const fields = keyspace.flows.records.get(id)
  if (fields === undefined) return { outcome: 'absent' }
  return { outcome: 'found', fields: Object.fromEntries(fields), tags: keyspace.flows.tags.get(id) }
}

export function listFlows(
  { keyspace }: CallContext,
  { after, count }: Arguments<'flow.list'>,
): Answer<'flow.list'> {
  const { ids, more } = keyspace.flows.listing.page(after, count)
  const flows = ids.map((id) => {
    const fields = keyspace.flows.records.get(id)
    return { id, created_at: fields?.get('created_at'), state: fields?.get('state') }
  })
  return { outcome: 'listed', flows, more }
}

function memberRow(call: CallContext, stored: StoredExecution): MemberRow {
  const { id, fields } = stored
  const row = { id, task: fields.task, state: fields.state }
  if (fields.has_up === undefined) return { ...row, group: undefined }
  return { ...row, group: groupWords(groupOf(call, stored)) }
}

export function listMembers(
  call: CallContext,
  { flow, after, count }: Arguments<'flow.members'>,
): Answer<'flow.members'> {
  const { keyspace } = call
  if (!keyspace.flows.records.has(flow)) return { outcome: 'listed', members: [], more: false }
  const { ids, more } = keyspace.flows.membersOf(flow).page(after, count)
  const members = ids.flatMap((id) => {
    const stored = keyspace.executions.get(id)
    return stored === undefined ? [] : [memberRow(call, stored)]
  })
  return { outcome: 'listed', members, more }
}

export function replayFlow(
  call: CallContext,
  args: Arguments<'flow.replay'>,
): Answer<'flow.replay'> {
  return runAgain(call, { ...args, reopen: true }, 'rerun')
}

export function purgeFlow(
  call: CallContext,
  { flow: id }: Arguments<'flow.purge'>,
): Answer<'flow.purge'> {
  const flow = loadFlow(call, id)
  if (flow === undefined) return { outcome: 'absent' }
  const state = flowState(flow)
  if (state === 'open' || unfinished(flow) > 0) return refuse('flow_not_ended', { flow: id, state })
  return { outcome: 'purged', left: !removeFlow(call, id, 'operator').isGone }
}

export function drain(
  call: CallContext,
  { count, again }: Arguments<'partition.drain'>,
): Answer<'partition.drain'> {
  if (again) call.backlog.retry(count)
  const done = call.backlog.drain(workIn(call), count)
  const { backlog, stuck } = call.keyspace.work
  const why = stuck.at(-1)?.split('\n').slice(1).join('\n')
  return { outcome: 'drained', done, left: backlog.length, stuck: stuck.length, why }
}
