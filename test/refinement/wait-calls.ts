// What holders, senders and operators do about waits, with every proof and every wish.
import type { Arguments } from '../../src/persistence/contract.ts'
import type { Keyspace } from '../../src/persistence/embedded/keyspace.ts'
import type { Waitpoint } from '../../src/persistence/waitpoint-record.ts'
import type { Call } from './model.ts'
import { type Fence, fieldsOf } from './states.ts'
import { executionId, kid } from './subject.ts'
import { signalCount, type Waits, waitpointsOf } from './wait-states.ts'

const id = executionId
const named = (name: string) => name.padEnd(22, '-')
const issuedId = named('issued')

type Suspend = Arguments<'execution.suspend'>

/** A suspension at one new waitpoint, for half a second. */
function suspension(keyspace: Keyspace, fence: Fence): Suspend {
  const { length } = waitpointsOf(keyspace)
  return {
    id,
    ...fence,
    digest: named('suspend'),
    suspension: named(`wait${length}`),
    points: `${named(`new${length}`)} new ${kid}`,
    condition: 's 0 *',
    reason: 'waiting_for_signal',
    requested_by: 'worker',
    behaviour: 'fail',
    timeout_at: undefined,
    timeout_ms: 500,
    resume_delay_ms: undefined,
    pointer: undefined,
  }
}

function creation(fence: Fence): Arguments<'waitpoint.create'> {
  const rest = { key: 'issued', kid, scope: 'attempt', expires_ms: undefined }
  return { id, ...fence, waitpoint: issuedId, ...rest }
}

/** With every proof that there is. */
export function waitsWith(keyspace: Keyspace, fence: Fence): readonly Call[] {
  return [
    { name: 'execution.suspend', args: suspension(keyspace, fence) },
    { name: 'waitpoint.create', args: creation(fence) },
    { name: 'waitpoint.close', args: { id, ...fence, waitpoint: issuedId, why: 'over' } },
  ]
}

/** Wishes that are refused, or that end at once. */
function strangeWishes(nowMs: number): readonly Partial<Suspend>[] {
  return [
    { timeout_ms: undefined, timeout_at: nowMs - 600_001 },
    { condition: 'timeout', timeout_ms: undefined },
    { condition: 's 1 *' },
    { points: `${named('new0')} new other` },
    { points: named('new0') },
    { timeout_ms: undefined, timeout_at: nowMs - 1, digest: named('other') },
  ]
}

/** Each behaviour, and delays and conditions beside them. */
const behaviours: readonly Partial<Suspend>[] = [
  { behaviour: 'cancel' },
  { behaviour: 'expire' },
  { behaviour: 'auto_resume' },
  { behaviour: 'auto_resume_with_signal', resume_delay_ms: 300 },
  { behaviour: 'escalate' },
  { timeout_ms: undefined, resume_delay_ms: 300 },
  { condition: 'c s 2 * 1 0' },
  { condition: 'operator', behaviour: 'auto_resume' },
]

/** On a waitpoint that was issued before. */
const onIssued: readonly Partial<Suspend>[] = [
  { points: issuedId, suspension: named('early'), timeout_ms: undefined },
  { points: issuedId, suspension: named('later'), timeout_ms: undefined, condition: 'c s 2 * 1 0' },
]

function suspends(keyspace: Keyspace, fence: Fence, nowMs: number, waits: Waits): Suspend[] {
  const wishes = {
    behaviours: [...behaviours, ...onIssued],
    orders: [...onIssued, ...strangeWishes(nowMs)],
    endings: strangeWishes(nowMs),
  }[waits]
  return wishes.map((wish) => ({ ...suspension(keyspace, fence), ...wish }))
}

/** What differs from the calls with every proof in more than that. */
export function otherWaits(
  keyspace: Keyspace,
  fence: Fence,
  nowMs: number,
  waits: Waits,
): readonly Call[] {
  const created = creation(fence)
  return [
    ...suspends(keyspace, fence, nowMs, waits).map(
      (args): Call => ({ name: 'execution.suspend', args }),
    ),
    { name: 'waitpoint.create', args: { ...created, scope: 'run', expires_ms: 1000 } },
    { name: 'waitpoint.create', args: { ...created, key: 'another' } },
    { name: 'waitpoint.create', args: { ...created, waitpoint: named('more'), kid: 'other' } },
    { name: 'waitpoint.close', args: { id, ...fence, waitpoint: named('nobody'), why: 'over' } },
  ]
}

function signal(point: Pick<Waitpoint, 'id' | 'attempt'>, number: number) {
  const args: Arguments<'signal.deliver'> = {
    id,
    attempt: point.attempt,
    waitpoint: point.id,
    kid,
    signal: named(`signal${number}`),
    digest: named('content'),
    name: undefined,
    category: 'custom',
    source: 'user',
    identity: 'somebody',
    correlation: '',
    encoding: 'binary',
    key: undefined,
    created_at: undefined,
    payload: Buffer.from([0, 255]),
  }
  return args
}

function signals(keyspace: Keyspace): readonly Call[] {
  const next = signalCount(keyspace) + 1
  const known = waitpointsOf(keyspace)
  const wrong = { id: named('nobody'), attempt: 0 }
  const all = [...known, wrong].flatMap((point) => [
    signal(point, next),
    { ...signal(point, next), key: 'key' },
    { ...signal(point, 1), digest: named('changed') },
    signal(point, 1),
  ])
  const strays = known.flatMap((point) => [
    { ...signal(point, next), attempt: point.attempt + 1 },
    { ...signal(point, next), kid: 'other' },
  ])
  return [...all, ...strays].map((args): Call => ({ name: 'signal.deliver', args }))
}

/** What others than the holder do about waits. */
export function waitsFromOutside(keyspace: Keyspace): readonly Call[] {
  const attempt = fieldsOf(keyspace)?.attempt ?? 0
  const resume = { id, resume_id: named('resume'), delay_ms: undefined }
  return [
    ...signals(keyspace),
    { name: 'execution.resume', args: resume },
    { name: 'execution.resume', args: { ...resume, resume_id: named('again'), delay_ms: 300 } },
    { name: 'execution.resume', args: { ...resume, resume_id: named('once'), delay_ms: 0 } },
    { name: 'signal.observe', args: { id, attempt } },
    { name: 'signal.list', args: { id, after: 0, count: 1 } },
    { name: 'partition.suspended', args: { after_score: undefined, after: undefined, count: 1 } },
  ]
}
