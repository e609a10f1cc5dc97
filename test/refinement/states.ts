// The states of one execution: how they are told apart, and which times matter to each.

import { leafOf } from '../../src/machines/table.ts'
import type { ExecutionFields } from '../../src/persistence/embedded/execution-fields.ts'
import type { Keyspace } from '../../src/persistence/embedded/keyspace.ts'
import { executionId } from './subject.ts'
import { expiries, waitKey } from './wait-states.ts'

export interface Fence {
  readonly attempt: number
  readonly lease_id: string
  readonly epoch: number
}

/** A stored state, the time at which it was reached, and what callers may still remember. */
export interface State {
  readonly keyspace: Keyspace
  readonly nowMs: number
  /** The fence of the lease before the last one. */
  readonly past: Fence | undefined
  /** How many leases were given, so that each gets an id of its own. */
  readonly leases: number
}

export function fieldsOf({ executions }: Keyspace): Readonly<ExecutionFields> | undefined {
  return executions.get(executionId)?.fields
}

export function leafNameOf(keyspace: Keyspace): string {
  return fieldsOf(keyspace)?.state ?? 'absent'
}

/** The fence of the last lease. */
export function fenceOf(f: Readonly<ExecutionFields> | undefined): Fence | undefined {
  if (f?.lease_id === undefined || f.epoch === undefined || f.attempt === undefined)
    return undefined
  return { attempt: f.attempt, lease_id: f.lease_id, epoch: f.epoch }
}

/** The stored times at which something becomes due, by name. */
function dueTimes(keyspace: Keyspace): readonly (readonly [name: string, atMs: number])[] {
  const f = fieldsOf(keyspace)
  if (f === undefined) return []
  const isHeld = f.state === 'leased.held'
  const isEnded = leafOf(f.state)?.index === 'terminal'
  const times: [string, number | undefined][] = [
    ['deadline', isEnded ? undefined : f.deadline_at],
    ['attempt', isHeld ? f.attempt_deadline_at : undefined],
    ['lease', isHeld ? f.expires_at : undefined],
    ['grant', f.grant_until],
    ['start', f.not_before],
    ['wait', f.wait_until],
    ...expiries(keyspace).map((atMs): [string, number] => ['expiry', atMs]),
    ['retention', isEnded ? keyspace.indexes.terminal.firstScore() : undefined],
    ['old deadline', isEnded ? f.deadline_at : undefined],
  ]
  return times.filter((time): time is [string, number] => time[1] !== undefined)
}

/** Now, and around every time at which something becomes due: before, at and after it. */
export function timesOfInterest({ keyspace, nowMs }: State): readonly number[] {
  const times = new Set([nowMs])
  let last: number | undefined
  for (const [, atMs] of dueTimes(keyspace)) {
    if (atMs < nowMs) continue
    if (atMs > nowMs) times.add(atMs - 1)
    times.add(atMs)
    last = Math.max(last ?? 0, atMs)
  }
  // Between two due times, one before the later is one after the earlier.
  if (last !== undefined) times.add(last + 1)
  return [...times].sort((a, b) => a - b)
}

/** Fields whose value decides nothing beyond whether it is there. */
const presences = [
  'attempt_left_ms',
  'block_reason',
  'grant_worker',
  'noted',
  'tailed',
  'progress',
  'replay_id',
  'class',
] as const

/** Fields whose value decides what can happen next. */
const values = [
  'state',
  'attempt',
  'attempt_type',
  'lease_kind',
  'parked',
  'reason',
  'reclaims',
  'replaying',
  'replays',
  'retries',
  'retry',
  'streamed',
  'watched',
] as const

/** What the last lease was given back for; a later call is either just that or something else. */
function settlement(settled: string | undefined): string {
  return settled?.replace(/^(\S+) \S+( ?\w*).*$/, '$1$2').replace(/\d{6,}/, 'at') ?? ''
}

/** Times as their order: what is due already, and what becomes due before what. */
function order(keyspace: Keyspace, nowMs: number): string {
  return [...dueTimes(keyspace)]
    .sort(([, a], [, b]) => a - b)
    .map(([name, atMs], index, all) => {
      if (atMs <= nowMs) return `${name} due`
      return `${all[index - 1]?.[1] === atMs ? '=' : '<'}${name}`
    })
    .join(' ')
}

/** Beyond a few, more frames and more patches make no difference. */
function streamKey({ streams }: Keyspace, attempt: number | undefined): string {
  const stream = attempt === undefined ? undefined : streams.get(executionId, attempt)
  if (stream === undefined) return ''
  const isSummarized = stream.summary !== undefined
  return `${Math.min(stream.last, 2)} frames${isSummarized ? ', summarized' : ''}`
}

/** Equal for states between which no sequence of calls can tell, but for how long things take. */
export function abstractKey(state: State): string {
  const { keyspace, nowMs, past } = state
  const f = fieldsOf(keyspace)
  if (f === undefined) return `absent ${[...keyspace.lanes.entries()]}`
  const parts: string[] = []
  for (const name of values) parts.push(String(f[name] ?? ''))
  for (const name of presences) parts.push(f[name] === undefined ? '' : name)
  parts.push(settlement(f.settled), order(keyspace, nowMs), streamKey(keyspace, f.attempt))
  parts.push(waitKey(keyspace, f))
  parts.push(past === undefined ? '' : past.attempt === f.attempt ? 'past' : 'past attempt')
  // A claim takes the next number when the clock has not moved since the last one.
  parts.push(f.epoch !== undefined && f.epoch >= nowMs * 1000 ? 'epoch ahead' : '')
  parts.push(keyspace.lanes.get(f.lane) ?? '')
  return parts.join('|')
}
