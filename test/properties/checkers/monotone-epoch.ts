// Epochs and attempts never fall, and only a claim raises them: every lease has its own epoch.
import type { Fields } from '../world.ts'
import { type Performed, pairs } from './performed.ts'

export function monotoneEpoch(performed: Performed): string | undefined {
  for (const [id, before, after] of pairs(performed)) {
    const why = after === undefined ? undefined : problemOf(performed, before, after)
    if (why !== undefined) return `${id} ${why}`
  }
  return undefined
}

function problemOf({ call }: Performed, before: Fields, after: Fields): string | undefined {
  const grown = Number(after.epoch ?? 0) - Number(before.epoch ?? 0)
  const attempts = Number(after.attempt ?? -1) - Number(before.attempt ?? -1)
  if (grown < 0) return `went back to epoch ${after.epoch}`
  if (attempts < 0 || attempts > 1) return `went from attempt ${before.attempt} to ${after.attempt}`
  if (grown === 0) {
    const isSame = before.lease_id === after.lease_id && attempts === 0
    return isSame ? undefined : 'has another lease or attempt under the same epoch'
  }
  // A claim that arrives again after its lease ran out may get the work anew, under the same id.
  const stem = 'lease_ms' in call.args ? `${call.args.lease_id}.` : undefined
  const isClaim = stem !== undefined && after.lease_id?.startsWith(stem)
  return isClaim ? undefined : `got a new epoch from ${call.name}`
}
