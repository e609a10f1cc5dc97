// What a partition knows of its suspensions: a page of them, and what senders may do.
import type { Answer, Arguments } from '../../contract.ts'
import type { CallContext } from '../call-context.ts'
import { signalPolicy } from '../signals.ts'
import { loadSuspension } from '../suspension.ts'

export function listSuspended(
  { keyspace }: CallContext,
  args: Arguments<'partition.suspended'>,
): Answer<'partition.suspended'> {
  const { after, after_score: afterScore, count } = args
  if (count === 0) return { outcome: 'listed', executions: [], more: false }
  const from = after === undefined || afterScore === undefined ? undefined : afterScore
  const found = keyspace.indexes.suspended.beyond(
    from === undefined ? undefined : { member: after as string, score: from },
    count + 1,
  )
  const rows = found.slice(0, count).map(({ member, score }) => {
    const x = keyspace.load(member)
    const f = x === undefined ? undefined : loadSuspension(x)?.f
    return {
      id: member,
      score,
      reason: f?.get('reason'),
      suspended_at: f?.get('at'),
    }
  })
  return { outcome: 'listed', executions: rows, more: found.length > count }
}

export function allow(
  call: CallContext,
  args: Arguments<'partition.allow'>,
): Answer<'partition.allow'> {
  for (const [name, value] of Object.entries(args)) {
    if (value !== undefined) call.keyspace.config.set(name, String(value))
  }
  return { outcome: 'allowed', ...signalPolicy(call) }
}
