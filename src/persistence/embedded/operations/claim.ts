// Giving up to `count` executions of some lanes to a worker, or telling it when to look again.
import { counts, grantedScore } from '../../../limits.ts'
import type { Answer, Arguments } from '../../contract.ts'
import type { ClaimedRow } from '../../generated/operations.ts'
import { acquire, runAdmissions } from '../admission.ts'
import type { CallContext } from '../call-context.ts'
import { cancelMember } from '../cascade.ts'
import { applyDue, nextDueMs, promote } from '../due.ts'
import { stopsWork } from '../exhaustion.ts'
import { isFlowOver } from '../flow.ts'
import { type Keyspace, routeOf } from '../keyspace.ts'
import { claimedRow, grantLease } from '../lease.ts'
import type { Execution } from '../record.ts'
import type { ScoredRow, SortedSet } from '../sorted-set.ts'
import { accepts } from '../transition.ts'
import { withhold } from '../withhold.ts'
import { workIn } from '../work.ts'

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

/** What work of a lane requires, as far as it is offered; and of the routes with turns. */
interface Required {
  readonly plain: readonly string[]
  readonly inTurns: readonly string[]
}

const nothingRequired: Required = { plain: [], inTurns: [] }

function requiredOf(keyspace: Keyspace, lane: string, capabilities: string): Required {
  const listed = keyspace.routes.get(lane)
  if (listed === undefined) return nothingRequired
  const offered = new Set(capabilities.split(','))
  const plain: string[] = []
  const inTurns: string[] = []
  for (const entry of listed) {
    const [required = '', ring] = entry.split('|')
    const isOffered = required === '' || required.split(',').every((word) => offered.has(word))
    if (isOffered) (ring === undefined ? plain : inTurns).push(required)
  }
  return { plain, inTurns }
}

/** A route that holds nothing is forgotten, so that sets of capabilities do not pile up. */
function forgetEmptyRoutes(keyspace: Keyspace, args: Claim): void {
  const indexes = Object.values(keyspace.routed)
  for (const lane of args.lanes.split(',')) {
    for (const required of requiredOf(keyspace, lane, args.capabilities).plain) {
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

/** What this worker may take from: indexes that are not empty, and queues with turns. */
interface Sources {
  readonly indexes: ReadonlySet<SortedSet>
  readonly queues: ReadonlySet<string>
}

function sources(keyspace: Keyspace, args: Claim): Sources {
  const indexes = new Set<SortedSet>()
  const queues = new Set<string>()
  for (const lane of args.lanes.split(',')) {
    if (keyspace.lanes.get(lane) === 'paused') continue
    const { plain, inTurns } = requiredOf(keyspace, lane, args.capabilities)
    if (args.kinds.includes('f')) {
      for (const words of inTurns) queues.add(words === '' ? lane : routeOf(lane, words))
    }
    for (const route of [lane, ...plain.map((words) => routeOf(lane, words))]) {
      for (const kind of args.kinds) {
        // A queue with turns contains, as one more key, the work without any.
        const index =
          kind === 'f' && queues.has(route) ? undefined : routedIndex(keyspace, kind).get(route)
        if (index !== undefined && index.size > 0) indexes.add(index)
      }
    }
  }
  return { indexes, queues }
}

function before(a: ScoredRow, b: ScoredRow): number {
  if (a.score !== b.score) return a.score - b.score
  return a.member < b.member ? -1 : 1
}

/** A row, and whose turn of which queue it takes, where there are turns. */
interface Candidate extends ScoredRow {
  readonly queue?: string
  readonly share?: string
}

/** One list of several, each of which keeps its order: the best of what is next in each. */
function merged(lists: readonly (readonly Candidate[])[], count: number): readonly Candidate[] {
  const waiting = lists.map((rows) => [...rows].reverse())
  const found: Candidate[] = []
  while (found.length < count) {
    let best: Candidate[] | undefined
    for (const rows of waiting) {
      const [row, other] = [rows.at(-1), best?.at(-1)]
      if (row !== undefined && (other === undefined || before(row, other) < 0)) best = rows
    }
    const row = best?.pop()
    if (row === undefined) break
    found.push(row)
  }
  return found
}

/**
 * The best candidates over all sources, best first; rows under a live grant come last everywhere
 * and are left out.
 */
function candidates(
  { turns }: Keyspace,
  { indexes, queues }: Sources,
  count: number,
): readonly Candidate[] {
  const found: Candidate[] = []
  for (const index of indexes) {
    for (const row of index.head(count)) if (row.score < grantedScore) found.push(row)
  }
  if (indexes.size > 1) found.sort(before)
  if (queues.size === 0) return found
  const lists = [...queues].map((queue) =>
    turns.candidates(queue, count).map((row) => ({ ...row, queue })),
  )
  return merged([found, ...lists], count)
}

/** Whether claimable work may start; what its flow, its budgets or its limit keep back is not. */
function isFree(call: CallContext, x: Execution): boolean {
  if (isFlowOver(call, x)) {
    if (accepts(x, 'withhold')) withhold(call, x, 'flow')
    else cancelMember(call, x)
    return false
  }
  if (x.f.budgets !== undefined && stopsWork(call, x)) return false
  return x.f.limit === undefined || acquire(call, x)
}

/**
 * Gives the work to the worker if it can have it: not what ends because its time is over, nor what
 * is put aside.
 */
function tryGrant(
  call: CallContext,
  { member, queue, share }: Candidate,
  rows: ClaimedRow[],
  args: Claim,
): boolean {
  const x = call.keyspace.load(member)
  if (x === undefined) return true
  // A deadline may have passed while it waited.
  if (applyDue(call, x)) return false
  if (!accepts(x, 'claim')) return true
  if (!isFree(call, x)) return false
  grantLease(call, x, `${args.lease_id}.${rows.length + 1}`, args)
  rows.push(claimedRow(x.stored))
  if (queue !== undefined && share !== undefined) call.keyspace.turns.took(queue, share)
  return true
}

/** Gives the best of these to the worker. Returns how many it could not have. */
function grant(
  call: CallContext,
  found: readonly Candidate[],
  rows: ClaimedRow[],
  args: Claim,
): number {
  let dropped = 0
  for (const candidate of found) {
    if (rows.length === args.count) break
    if (!tryGrant(call, candidate, rows, args)) dropped += 1
  }
  return dropped
}

/** What was claimed, and whether there may be more. */
interface Taken {
  readonly rows: readonly ClaimedRow[]
  readonly more: boolean
}

/**
 * As long as there is work that the worker cannot have, it looks behind it, and at what that has
 * set free.
 */
function take(call: CallContext, args: Claim): Taken {
  const { keyspace } = call
  const rows: ClaimedRow[] = []
  let dropped = 0
  let droppedNow: number
  let units: number = counts.workPerCall
  do {
    units = call.backlog.run(workIn(call), units)
    runAdmissions(call)
    const found = candidates(keyspace, sources(keyspace, args), args.count - rows.length)
    droppedNow = grant(call, found, rows, args)
    dropped += droppedNow
  } while (rows.length < args.count && droppedNow > 0 && dropped < counts.withheldPerCall)
  return { rows, more: dropped >= counts.withheldPerCall }
}

export function claim(call: CallContext, args: Claim): Answer<'lease.claim'> {
  const { keyspace, nowMs, wake } = call
  const held = granted(call, args.lease_id, args.count)
  if (held.length > 0) return { outcome: 'claimed', rows: held, replayed: true }
  if (call.first('promote')) promote(call, counts.promotePerCall)
  const { rows, more } = take(call, args)
  if (rows.length > 0) return { outcome: 'claimed', rows, replayed: false }
  forgetEmptyRoutes(keyspace, args)
  if (args.sleep_ms !== undefined) {
    for (const lane of args.lanes.split(',')) wake.sleep(lane, nowMs + args.sleep_ms)
  }
  return { outcome: 'empty', next_at: more ? nowMs : nextDueMs(call), now: nowMs }
}

export function findGranted(
  call: CallContext,
  args: Arguments<'lease.find'>,
): Answer<'lease.find'> {
  return { outcome: 'found', rows: granted(call, args.lease_id, args.count) }
}
