// One sweep of a partition, and carrying on what it has to tell others about slots and budgets.
import { counts } from '../limits.ts'
import type { SweepOutcome } from './backend.ts'
import type { LimitRelay } from './limit-relay.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'
import type { UsageRelay } from './usage-relay.ts'

/** Who carries news between partitions. */
interface Relays {
  readonly limits: LimitRelay
  readonly usage: UsageRelay
}

export async function sweepPartition(
  store: Store,
  { limits, usage }: Relays,
  partition: number,
  count: number,
): Promise<SweepOutcome> {
  const answer = await storedCall(store, partition, 'partition.sweep', { count })
  const { promoted, purged, now, owed_at, next_usage_at, untold_at } = answer
  const isOwed = owed_at !== undefined && owed_at <= now
  const isOverdue = next_usage_at !== undefined && next_usage_at <= now
  if (isOwed) await limits.run(partition)
  if (isOverdue) await usage.drain(partition)
  if (untold_at !== undefined) await usage.tell(partition)
  // What could not be sent is not sent again at once: its partition may be out of reach.
  const owedAt = isOwed ? now + counts.owedAgainMs : owed_at
  const usageAt = isOverdue ? undefined : next_usage_at
  const { next_at, next_purge_at, next_budget_at } = answer
  const next = [next_at, next_purge_at, next_budget_at, owedAt, usageAt].filter(
    (at) => at !== undefined,
  )
  const nextInMs = next.length === 0 ? undefined : Math.max(0, Math.min(...next) - now)
  return { promoted, purged, nextInMs }
}
