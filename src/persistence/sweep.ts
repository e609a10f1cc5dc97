// One sweep of a partition, and carrying on what it has to tell others about slots.
import { counts } from '../limits.ts'
import type { SweepOutcome } from './backend.ts'
import type { LimitRelay } from './limit-relay.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'

export async function sweepPartition(
  store: Store,
  limits: LimitRelay,
  partition: number,
  count: number,
): Promise<SweepOutcome> {
  const answer = await storedCall(store, partition, 'partition.sweep', { count })
  const { promoted, purged, next_at, next_purge_at, owed_at, now } = answer
  const isOwed = owed_at !== undefined && owed_at <= now
  if (isOwed) await limits.run(partition)
  const later = isOwed ? now + counts.owedAgainMs : owed_at
  const next = [next_at, next_purge_at, later].filter((at) => at !== undefined)
  const nextInMs = next.length === 0 ? undefined : Math.max(0, Math.min(...next) - now)
  return { promoted, purged, nextInMs }
}
