// Single leases: reserving and claiming one execution, keeping a lease alive, taking it away.
import { invariant } from '../../../errors.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { acquire, allows } from '../admission.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { loadDue, loseLease } from '../due.ts'
import type { ExecutionFields } from '../execution-fields.ts'
import { exhaustionOf } from '../exhaustion.ts'
import { checkFence, notActive, staleLease } from '../fence.ts'
import { isFlowOver } from '../flow.ts'
import { claimedRow, grantLease } from '../lease.ts'
import { applyEvent, commit } from '../transition.ts'

const isLost = (state: string) => state === 'leased.expired' || state === 'leased.revoked'

const isRunnable = (state: string) => state === 'runnable.ready' || state === 'runnable.resumed'

function wordsOf(list: string | undefined): readonly string[] {
  return list === undefined || list === '' ? [] : list.split(',')
}

export function grant(call: CallContext, args: Arguments<'lease.grant'>): Answer<'lease.grant'> {
  const x = loadDue(call, args.id)
  if (x === undefined) return refuse('execution_not_found')
  const { f } = x
  const paused = call.keyspace.lanes.get(f.lane) === 'paused'
  const fits = args.of === 'leased' ? isLost(f.state) : isRunnable(f.state)
  if (paused || !fits) {
    const code = args.of === 'leased' ? 'execution_not_reclaimable' : 'execution_not_eligible'
    return refuse(code, { state: f.state, lane_paused: String(paused) })
  }
  if (isFlowOver(call, x)) return refuse('flow_ended', { flow: f.flow ?? '' })
  const replayed = f.grant_id !== undefined && f.grant_worker === args.worker
  if (f.grant_id !== undefined && !replayed) {
    return refuse('grant_already_exists', { expires_at: String(f.grant_until) })
  }
  const offered = new Set(wordsOf(args.capabilities))
  const missing = wordsOf(f.capabilities).filter((word) => !offered.has(word))
  if (missing.length > 0) return refuse('capability_mismatch', { missing: missing.join(',') })
  if (!replayed) {
    f.grant_id = args.grant_id
    f.grant_worker = args.worker
    f.grant_until = call.nowMs + args.grant_ms
    commit(call, x)
  }
  const { grant_id, grant_until } = f
  invariant(grant_id !== undefined && grant_until !== undefined, `${x.id} has half a grant`)
  return { outcome: 'granted', grant_id, expires_at: grant_until, lane: f.lane, replayed }
}

function wrongState(state: string, of: string): string | undefined {
  if (of === 'leased') return isLost(state) ? undefined : 'execution_not_reclaimable'
  if (state === 'runnable.ready') return 'not_a_resumed_execution'
  return state === 'runnable.resumed' ? undefined : 'execution_not_leaseable'
}

function isLapsed(f: Readonly<ExecutionFields> | undefined, grantId: string, nowMs: number) {
  return f?.grant_id === grantId && f.grant_until !== undefined && f.grant_until <= nowMs
}

export function claimGranted(
  call: CallContext,
  args: Arguments<'lease.claim_granted'>,
): Answer<'lease.claim_granted'> {
  const lapsed = isLapsed(call.keyspace.executions.get(args.id)?.fields, args.grant_id, call.nowMs)
  const x = loadDue(call, args.id)
  if (x === undefined) return refuse('execution_not_found')
  const { f } = x
  const leaseId = `${args.lease_id}.1`
  if (f.state === 'leased.held' && f.lease_id === leaseId) {
    return { outcome: 'claimed', rows: [claimedRow(x.stored)], replayed: true }
  }
  const code = wrongState(f.state, args.of)
  if (code !== undefined) return refuse(code, { state: f.state })
  if (isFlowOver(call, x)) return refuse('flow_ended', { flow: f.flow ?? '' })
  if (lapsed) return refuse('claim_grant_expired')
  if (f.grant_id !== args.grant_id || f.grant_worker !== args.worker) {
    return refuse('invalid_claim_grant')
  }
  const keeper = args.of === 'runnable' ? exhaustionOf(call.keyspace, f) : undefined
  if (keeper !== undefined) return refuse('budget_exhausted', { budget: keeper.budget })
  if (f.limit !== undefined) {
    if (!allows(call, x)) return refuse('limit_reached', { limit: f.limit })
    acquire(call, x)
  }
  grantLease(call, x, leaseId, args)
  return { outcome: 'claimed', rows: [claimedRow(x.stored)], replayed: false }
}

export function checkLease(
  call: CallContext,
  args: Arguments<'lease.check'>,
): Answer<'lease.check'> {
  const checked = checkFence(call, args)
  return 'refusal' in checked ? checked.refusal : { outcome: 'held' }
}

export function renew(call: CallContext, args: Arguments<'lease.renew'>): Answer<'lease.renew'> {
  const checked = checkFence(call, args)
  if ('refusal' in checked) return checked.refusal
  const { x } = checked
  const { f } = x
  applyEvent(x, 'renew')
  const { epoch, lease_ms, expires_at } = f
  invariant(
    epoch !== undefined && lease_ms !== undefined && expires_at !== undefined,
    `${x.id} is under half a lease`,
  )
  f.expires_at = Math.max(call.nowMs + lease_ms, expires_at)
  commit(call, x)
  return { outcome: 'renewed', expires_at: f.expires_at, epoch }
}

export function revoke(call: CallContext, args: Arguments<'lease.revoke'>): Answer<'lease.revoke'> {
  const x = loadDue(call, args.id)
  if (x === undefined) return refuse('execution_not_found')
  const { state, lease_id, epoch } = x.f
  if (isLost(state)) return { outcome: 'already_lost', state }
  if (state !== 'leased.held') return notActive(x)
  if (args.lease_id !== undefined && args.lease_id !== lease_id) return staleLease(x.f)
  invariant(lease_id !== undefined && epoch !== undefined, `${x.id} is under half a lease`)
  loseLease(call, x, 'revokeLease')
  return { outcome: 'revoked', lease_id, epoch }
}
