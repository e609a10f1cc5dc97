// Each execution has at most one holder, and nobody takes a lease that is still good.
import { leasesOf } from '../waiting.ts'
import { hasCome, type Performed, pairs } from './performed.ts'

export function singleHolder(performed: Performed): string | undefined {
  return leasesProblem(performed) ?? theftProblem(performed)
}

/** Live leases and executions under a lease are one to one. */
function leasesProblem({ after }: Performed): string | undefined {
  const live = leasesOf(after.dump)
  let held = 0
  for (const [id, { state, lease_id = '' }] of after.records) {
    if (state !== 'leased.held') continue
    held += 1
    if (live.get(lease_id) !== id) return `${id} is held under ${lease_id}, which is unknown`
  }
  return held === live.size ? undefined : `${live.size} leases are live, ${held} executions held`
}

const ends = ['expires_at', 'attempt_deadline_at', 'deadline_at'] as const

function theftProblem(performed: Performed): string | undefined {
  for (const [id, before, after] of pairs(performed)) {
    if (before.state !== 'leased.held' || after === undefined) continue
    if (before.lease_id === after.lease_id && before.epoch === after.epoch) continue
    const isOver = ends.some((name) => hasCome(before, name, performed.nowMs))
    if (!isOver) return `${id} was taken from the holder of ${before.lease_id}`
  }
  return undefined
}
