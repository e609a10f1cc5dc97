// Giving up to `count` executions of some lanes to a worker, or telling it when to look again.
import { counts, grantedScore } from '../../../limits.ts'
import type { Answer, Arguments } from '../../contract.ts'
import type { ClaimedRow } from '../../generated/operations.ts'
import type { CallContext } from '../call-context.ts'
import { cancelMember } from '../cascade.ts'
import { applyDue, nextDueMs, promote } from '../due.ts'
import { isFlowOver } from '../flow.ts'
import { type Keyspace, routeOf } from '../keyspace.ts'
import { claimedRow, grantLease } from '../lease.ts'
import type { Execution } from '../record.ts'
import type { ScoredRow, SortedSet } from '../sorted-set.ts'
import { accepts } from '../transition.ts'
import { withhold } from '../withhold.ts'

type Claim = Arguments<'lease.claim'>

/** The leases of one claim that are still held, as rows for their holder. */
function granted(call: CallContext, leaseId: string, count: number): ClaimedRow[] {
  const { keyspace } = call
  const rows: ClaimedRow[] = []
  for (let position = 1; position <= count; position++) {
    const name = `${leaseId}.${position}`
    const id = keyspace.leases.get(name)
    const x = id === undefined ? undefined : keyspace.load(id)
    if (x === undefined || applyDue(call, x) || x.f.lease_id !== name) continue
    rows.push(claimedRow(x.stored))
  }
  return rows
}

/** What work of a lane requires, as far as these capabilities offer it. */
function requiredOf(keyspace: Keyspace, lane: string, capabilities: string): readonly string[] {
  const listed = keyspace.routes.get(lane)
  if (listed === undefined) return []
  const offered = new Set(capabilities.split(','))
  return [...listed].filter(
    (required) => required === '' || required.split(',').every((word) => offered.has(word)),
  )
}

/** A route that holds nothing is forgotten, so that sets of capabilities do not pile up. */
function forgetEmptyRoutes(keyspace: Keyspace, args: Claim): void {
  const indexes = Object.values(keyspace.routed)
  for (const lane of args.lanes.split(',')) {
    for (const required of requiredOf(keyspace, lane, args.capabilities)) {
      const route = routeOf(lane, required)
      if (indexes.every((index) => (index.get(route)?.size ?? 0) === 0)) {
        keyspace.removeRoute(lane, required)
      }
    }
  }
}

function routedIndex(keyspace: Keyspace, kind: string): ReadonlyMap<string, SortedSet> {
  const { ready, resumed, reclaimable } = keyspace.routed
  if (kind === 'f') return ready
  return kind === 'r' ? resumed : reclaimable
}

/** The indexes that this worker may take from; empty ones are left out. */
function sources(keyspace: Keyspace, args: Claim): SortedSet[] {
  const found = new Set<SortedSet>()
  for (const lane of args.lanes.split(',')) {
    if (keyspace.lanes.get(lane) === 'paused') continue
    const required = requiredOf(keyspace, lane, args.capabilities)
    for (const route of [lane, ...required.map((words) => routeOf(lane, words))]) {
      for (const kind of args.kinds) {
        const index = routedIndex(keyspace, kind).get(route)
        if (index !== undefined && index.size > 0) found.add(index)
      }
    }
  }
  return [...found]
}

function before(a: ScoredRow, b: ScoredRow): number {
  if (a.score !== b.score) return a.score - b.score
  return a.member < b.member ? -1 : 1
}

/**
 * The best candidates over all sources, best first; rows under a live grant come last everywhere
 * and are left out.
 */
function candidates(indexes: readonly SortedSet[], count: number): readonly ScoredRow[] {
  const found: ScoredRow[] = []
  for (const index of indexes) {
    for (const row of index.head(count)) if (row.score < grantedScore) found.push(row)
  }
  return indexes.length > 1 ? found.sort(before) : found
}

/** Whether the work may start; work of a flow that is over is put aside. */
function isFree(call: CallContext, x: Execution): boolean {
  if (!isFlowOver(call, x)) return accepts(x, 'claim')
  if (accepts(x, 'withhold')) withhold(call, x, 'flow')
  else if (accepts(x, 'claim')) cancelMember(call, x)
  return false
}

function take(call: CallContext, args: Claim): ClaimedRow[] {
  const { keyspace } = call
  const indexes = sources(keyspace, args)
  const rows: ClaimedRow[] = []
  // A second round makes up for candidates whose deadline had passed.
  for (let round = 1; round <= 2 && rows.length < args.count; round++) {
    for (const { member } of candidates(indexes, args.count - rows.length)) {
      if (rows.length === args.count) break
      const x = keyspace.load(member)
      // A deadline may have passed while it waited.
      if (x === undefined || applyDue(call, x) || !isFree(call, x)) continue
      grantLease(call, x, `${args.lease_id}.${rows.length + 1}`, args)
      rows.push(claimedRow(x.stored))
    }
  }
  return rows
}

export function claim(call: CallContext, args: Claim): Answer<'lease.claim'> {
  const { keyspace, nowMs, wake } = call
  const held = granted(call, args.lease_id, args.count)
  if (held.length > 0) return { outcome: 'claimed', rows: held, replayed: true }
  if (call.first('promote')) promote(call, counts.promotePerCall)
  const rows = take(call, args)
  if (rows.length > 0) return { outcome: 'claimed', rows, replayed: false }
  forgetEmptyRoutes(keyspace, args)
  if (args.sleep_ms !== undefined) {
    for (const lane of args.lanes.split(',')) wake.sleep(lane, nowMs + args.sleep_ms)
  }
  return { outcome: 'empty', next_at: nextDueMs(call), now: nowMs }
}

export function findGranted(
  call: CallContext,
  args: Arguments<'lease.find'>,
): Answer<'lease.find'> {
  return { outcome: 'found', rows: granted(call, args.lease_id, args.count) }
}
