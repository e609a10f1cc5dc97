// Turns a claim's policy into the stored operation's arguments.
import type { LaneId } from '../ids.ts'
import { mintLeaseId } from '../ids.ts'
import { bounds, defaults } from '../limits.ts'
import { checkWhole, checkWords } from './arguments.ts'
import type { CapabilitySet, ClaimPolicy } from './backend.ts'
import type { ClaimRequest } from './claim-loop.ts'
import { formatCapabilities } from './submission.ts'

const kindLetters = { fresh: 'f', resumed: 'r', reclaimable: 'c' } as const

/** Checks a claim, or throws `invalid_input` naming what does not fit. */
export function claimRequest(
  lanes: LaneId | readonly LaneId[],
  capabilities: CapabilitySet,
  policy: ClaimPolicy,
): ClaimRequest {
  const names = [lanes].flat()
  const kinds = policy.kinds ?? ['fresh', 'resumed', 'reclaimable']
  checkWords('lanes', names, (lane) => typeof lane === 'string' && !lane.includes(','))
  checkWords('kinds', kinds, (kind) => Object.hasOwn(kindLetters, kind))
  checkWhole('count', policy.count ?? 1, bounds.claim_count)
  checkWhole('maxWaitMs', policy.maxWaitMs ?? 0, bounds.span_ms)
  return {
    args: {
      lanes: names.join(','),
      capabilities: formatCapabilities(capabilities),
      kinds: kinds.map((kind) => kindLetters[kind]).join(''),
      count: policy.count ?? 1,
      worker: policy.worker,
      lease_id: policy.leaseId ?? mintLeaseId(),
      lease_ms: policy.leaseMs ?? defaults.leaseMs,
    },
    maxWaitMs: policy.maxWaitMs ?? 0,
    signal: policy.signal,
    repeatable: policy.leaseId !== undefined,
  }
}
