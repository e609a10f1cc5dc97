// Cancels the members of a flow that is over; the twin of lua/lib/cascade.lua.
import { counts } from '../../limits.ts'
import type { CallContext } from './call-context.ts'
import { finish } from './finish.ts'
import { type Flow, flowOf, isDoomed, loadFlow } from './flow.ts'
import type { Execution } from './record.ts'
import { applyEvent } from './transition.ts'

/** Ends a member because its flow is over. */
export function cancelMember(call: CallContext, x: Execution): void {
  applyEvent(x, 'cancelExecution')
  x.by = 'flow'
  finish(call, x, 'flow_cancelled', undefined)
}

function cancelDoomed(call: CallContext, flow: Flow, id: string): void {
  const x = call.keyspace.load(id)
  if (x !== undefined && x.f.ended_at === undefined && isDoomed(flow, x)) cancelMember(call, x)
}

/** One that gave its lease back after the cascade had passed. */
export function cancelLate(call: CallContext, words: readonly string[]): number {
  const x = call.keyspace.load(words[1] ?? '')
  if (x !== undefined && x.f.ended_at === undefined) cancelDoomed(call, flowOf(call, x), x.id)
  return 1
}

/** The members after a given one, unless a wider policy has begun. */
export function cascade(call: CallContext, words: readonly string[]): number {
  const [, id = '', policy, after] = words
  const flow = loadFlow(call, id)
  if (flow?.hash.get('cancelling') === undefined) return 1
  if (flow.hash.get('cancel_policy') !== policy) return 1
  const found = call.keyspace.flows.membersOf(id).after(after, counts.graphChunk)
  for (const member of found) cancelDoomed(call, flow, member)
  if (found.length === counts.graphChunk)
    call.backlog.push(`cascade ${id} ${policy} ${found.at(-1)}`)
  else flow.hash.set('cancelling', undefined)
  return found.length
}
