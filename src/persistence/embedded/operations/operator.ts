// What people do to an execution from outside: hold, let go, reorder, cancel, replay, forget.
import type { Answer, Arguments } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { loadDue } from '../due.ts'
import { notActive } from '../fence.ts'
import { finish } from '../finish.ts'
import { gateFacts } from '../gates.ts'
import { purge } from '../purge.ts'
import type { Execution } from '../record.ts'
import { runAgain } from '../replay.ts'
import { accepts, applyEvent, commit } from '../transition.ts'

const notFound = () => refuse('execution_not_found')

function notEligible({ f }: Execution) {
  return refuse('execution_not_eligible', { state: f.state })
}

export function block(
  call: CallContext,
  args: Arguments<'execution.block'>,
): Answer<'execution.block'> {
  // A grant that has lapsed must not protect the work any longer.
  const x = loadDue(call, args.id)
  if (x === undefined) return notFound()
  if (x.f.block_reason === args.why) return { outcome: 'blocked', replayed: true }
  const isHeld = x.f.block_reason !== undefined || x.f.grant_id !== undefined
  if (isHeld || !accepts(x, 'block')) return notEligible(x)
  applyEvent(x, 'block')
  x.f.block_reason = args.why
  commit(call, x)
  return { outcome: 'blocked', replayed: false }
}

export function unblock(
  call: CallContext,
  args: Arguments<'execution.unblock'>,
): Answer<'execution.unblock'> {
  const x = call.keyspace.load(args.id)
  if (x === undefined) return notFound()
  const { f } = x
  if (f.block_reason === undefined && f.ended_at === undefined) {
    return { outcome: 'unblocked', state: f.state, replayed: true }
  }
  if (!accepts(x, 'unblock') || f.block_reason !== args.why) return notEligible(x)
  f.block_reason = undefined
  f.withheld = undefined
  applyEvent(x, 'unblock', gateFacts(call, x))
  commit(call, x)
  return { outcome: 'unblocked', state: f.state, replayed: false }
}

export function reprioritize(
  call: CallContext,
  args: Arguments<'execution.reprioritize'>,
): Answer<'execution.reprioritize'> {
  const x = call.keyspace.load(args.id)
  if (x === undefined) return notFound()
  if (!accepts(x, 'reprioritize')) return notEligible(x)
  const from = x.f.priority ?? 0
  // No news, so nobody is told.
  if (from === args.priority) return { outcome: 'changed', from, to: from }
  applyEvent(x, 'reprioritize')
  x.f.priority = args.priority > 0 ? args.priority : undefined
  commit(call, x)
  return { outcome: 'changed', from, to: args.priority }
}

export function cancelByOperator(
  call: CallContext,
  args: Arguments<'execution.cancel_by_operator'>,
): Answer<'execution.cancel_by_operator'> {
  const x = call.keyspace.load(args.id)
  if (x === undefined) return notFound()
  const from = x.f.state
  if (from === 'terminal.cancelled') return { outcome: 'cancelled', from, replayed: true }
  if (!accepts(x, 'cancelExecution')) return notActive(x)
  applyEvent(x, 'cancelExecution')
  finish(call, x, 'cancelled_by_operator', Buffer.from(args.why))
  return { outcome: 'cancelled', from, replayed: false }
}

export function replay(
  call: CallContext,
  args: Arguments<'execution.replay'>,
): Answer<'execution.replay'> {
  return runAgain(call, args, 'take_back')
}

export function purgeExecution(
  call: CallContext,
  args: Arguments<'execution.purge'>,
): Answer<'execution.purge'> {
  const stored = call.keyspace.executions.get(args.id)
  if (stored === undefined) return { outcome: 'absent' }
  const { ended_at: endedAt, state } = stored.fields
  if (endedAt === undefined) return refuse('execution_not_terminal', { state })
  const { flow } = stored.fields
  if (flow !== undefined) return refuse('execution_in_flow', { flow })
  purge(call, stored, 'operator')
  return { outcome: 'purged' }
}
