// Each leaf of the lifecycle as the seven dimensions that the reference describes it with.
import type { LeafMeta } from '../../src/machines/execution.ts'
import type { Leaf } from '../../src/machines/table.ts'

export interface Dimensions {
  readonly phase: 'submitted' | 'runnable' | 'active' | 'suspended' | 'terminal'
  readonly ownership: 'unowned' | 'leased' | 'lease_expired_reclaimable' | 'lease_revoked'
  readonly eligibility:
    | 'eligible_now'
    | 'not_eligible_until_time'
    | 'blocked_by_dependencies'
    | 'blocked_by_operator'
    | 'not_applicable'
  readonly outcome: 'none' | 'success' | 'failed' | 'cancelled' | 'expired' | 'skipped'
  readonly attempt: 'none' | 'pending' | 'running' | 'interrupted' | 'ended'
}

type Place = Pick<Dimensions, 'phase' | 'ownership' | 'eligibility'>

const unowned = { ownership: 'unowned' } as const

const runnable = (eligibility: Dimensions['eligibility']): Place => ({
  phase: 'runnable',
  ...unowned,
  eligibility,
})

/** What the index that holds an execution says about it; lost leases are told apart by name. */
const places: Readonly<Record<LeafMeta['index'], Place>> = {
  none: { phase: 'submitted', ...unowned, eligibility: 'not_applicable' },
  ready: runnable('eligible_now'),
  resumed: runnable('eligible_now'),
  delayed: runnable('not_eligible_until_time'),
  blocked: runnable('blocked_by_operator'),
  waiting: runnable('blocked_by_dependencies'),
  leased: { phase: 'active', ownership: 'leased', eligibility: 'not_applicable' },
  reclaimable: {
    phase: 'active',
    ownership: 'lease_expired_reclaimable',
    eligibility: 'not_applicable',
  },
  suspended: { phase: 'suspended', ...unowned, eligibility: 'not_applicable' },
  terminal: { phase: 'terminal', ...unowned, eligibility: 'not_applicable' },
}

const outcomes: Readonly<Partial<Record<LeafMeta['public'], Dimensions['outcome']>>> = {
  completed: 'success',
  failed: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
  skipped: 'skipped',
}

export function dimensionsOf(leaf: Leaf): Dimensions {
  const place = places[leaf.index]
  return {
    ...place,
    ownership: leaf.name === 'leased.revoked' ? 'lease_revoked' : place.ownership,
    outcome: outcomes[leaf.public] ?? 'none',
    attempt: leaf.attempt,
  }
}

/** Name, as in the reference → whether the combination that must never occur does. */
export const forbidden: Readonly<Record<string, (d: Dimensions) => boolean>> = {
  'V1 terminal and leased': (d) => d.phase === 'terminal' && d.ownership === 'leased',
  'V2 suspended and leased': (d) => d.phase === 'suspended' && d.ownership === 'leased',
  'V3 an outcome without an end': (d) => d.outcome !== 'none' && d.phase !== 'terminal',
  'V4 an end without an outcome': (d) => d.phase === 'terminal' && d.outcome === 'none',
  'V5 active before any attempt': (d) => d.phase === 'active' && d.attempt === 'pending',
  'V6 claimable though ended': (d) => d.eligibility === 'eligible_now' && d.phase === 'terminal',
  'V7 claimable though active': (d) => d.eligibility === 'eligible_now' && d.phase === 'active',
  'V8 submitted and leased': (d) => d.phase === 'submitted' && d.ownership === 'leased',
  'V9 runnable with a running attempt': (d) => d.phase === 'runnable' && d.attempt === 'running',
  'V10 active and owned by nobody': (d) => d.phase === 'active' && d.ownership === 'unowned',
  'V11 waiting for something though not runnable': (d) =>
    d.eligibility !== 'not_applicable' && d.phase !== 'runnable',
  'V12 runnable and owned': (d) => d.phase === 'runnable' && d.ownership !== 'unowned',
}
