// The partition as a whole: opening it, paging through it, and doing what nobody claims.
import { noDeadlineScore } from '../../../limits.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { promoteBudgets } from '../budgets.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { nextDueMs, promote } from '../due.ts'
import type { Keyspace } from '../keyspace.ts'
import { purge } from '../purge.ts'
import { retireDue } from '../retire.ts'

export function openPartition(
  { keyspace }: CallContext,
  { partitions }: Arguments<'partition.open'>,
): Answer<'partition.open'> {
  const stored = keyspace.config.get('partitions')
  if (stored === undefined) keyspace.config.set('partitions', String(partitions))
  else if (Number(stored) !== partitions) {
    return refuse('partition_mismatch', { stored, given: String(partitions) })
  }
  return { outcome: 'opened', partitions }
}

export function listPartition(
  { keyspace }: CallContext,
  { after, count }: Arguments<'partition.list'>,
): Answer<'partition.list'> {
  return { outcome: 'listed', ...keyspace.listing.page(after, count) }
}

function purgeDue(call: CallContext, count: number): number {
  const { keyspace, nowMs } = call
  const rows = keyspace.indexes.terminal.upTo(nowMs, count)
  for (const { member } of rows) {
    const stored = keyspace.executions.get(member)
    if (stored !== undefined) purge(call, stored, 'clock')
  }
  return rows.length
}

/** When the next ended execution or flow is forgotten; members of flows go with their flow. */
function nextPurgeMs({ indexes, flows }: Keyspace): number | undefined {
  const first = indexes.terminal.firstScore()
  const ends = flows.ends.firstScore()
  if (first === undefined || first === noDeadlineScore) return ends
  return ends !== undefined && ends < first ? ends : first
}

export function sweep(
  call: CallContext,
  { count }: Arguments<'partition.sweep'>,
): Answer<'partition.sweep'> {
  const { keyspace, nowMs } = call
  const promoted = promote(call, count)
  const purged = purgeDue(call, count) + retireDue(call, count)
  promoteBudgets(call, count)
  call.wake.forget(nowMs)
  call.feed.trim()
  return {
    outcome: 'swept',
    promoted,
    purged,
    next_at: nextDueMs(call),
    next_purge_at: nextPurgeMs(keyspace),
    owed_at: keyspace.limits.owed.firstScore(),
    next_budget_at: keyspace.budgetTimes.firstScore(),
    next_usage_at: keyspace.unsettled.firstScore(),
    untold_at: keyspace.untold.firstScore(),
    now: nowMs,
  }
}
