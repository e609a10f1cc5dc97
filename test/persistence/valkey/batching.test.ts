// One server call with many operations stores and answers the same as one call for each of them.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decodeAnswer, encodeCall, type Reply } from '../../../src/persistence/valkey/codec.ts'
import { canonicalDump } from '../../support/keyspace-dump.ts'
import { Random } from '../../support/random.ts'
import {
  type SettableClock,
  settableServerClock,
  testLibrary,
} from '../../support/settable-clock.ts'
import { useServer } from '../../support/valkey-server.ts'
import { type BatchOf, learnBatches, type Wire } from '../../support/wire.ts'

const at = useServer()
const runs = 60
const stepsPerRun = 12
const ids = Array.from({ length: 6 }, (_, index) => String(index).repeat(26))
const together = '{hf:together:0}'
const apart = '{hf:apart:0}'

let batchOf: BatchOf
let clock: SettableClock

beforeAll(async () => {
  clock = await settableServerClock([at.redis])
  batchOf = await learnBatches(at.server.url, testLibrary.name)
})
afterAll(async () => {
  await at.redis.flushall()
})

/** The lease that an execution has by now, if any, as its holder knows it. */
async function fences() {
  const found = new Map<string, { attempt: number; lease_id: string; epoch: number }>()
  const replies = await call(
    together,
    ids.flatMap((id) => encodeCall('execution.describe', { id })),
  )
  for (const [index, id] of ids.entries()) {
    const answer = decodeAnswer('execution.describe', replies[index] as Reply)
    const { attempt, lease_id, epoch } = answer.outcome === 'found' ? answer.fields : {}
    const fence = { attempt: Number(attempt ?? 0), lease_id: lease_id ?? 'no.1' }
    found.set(id, { ...fence, epoch: Number(epoch ?? 1) })
  }
  return found
}

const points = ['p', 'q', 'r'].map((letter) => letter.repeat(22))

/** Waits, signals and the keys that sign them. */
function waiting(random: Random, fence: object, id: string, step: string): (() => Wire)[] {
  const point = random.one(points)
  const fresh = `${step.padEnd(22, '_')} key k1`
  const suspension = {
    ...fence,
    digest: random.one(['d', 'e']).repeat(22),
    suspension: step.padEnd(22, 's'),
    points: random.one([fresh, point, `${point},${fresh}`]),
    condition: random.one(['s 0 *', 's 0 *', 'c s 2 * 1 0', 'operator']),
    reason: 'reason',
    requested_by: 'worker',
    behaviour: random.one(['fail', 'auto_resume_with_signal', 'escalate']),
    timeout_ms: random.one([undefined, 40]),
    resume_delay_ms: random.one([undefined, 30]),
  }
  const signal = {
    id,
    attempt: random.below(2),
    waitpoint: point,
    kid: 'k1',
    signal: random.one([step, 'same']).padEnd(22, '-'),
    digest: 'd'.repeat(22),
    category: 'custom',
    source: 'user',
    identity: random.one(['', 'somebody']),
    correlation: '',
    encoding: 'binary',
    key: random.one([undefined, 'key']),
    payload: random.one([undefined, Buffer.from([0, 255])]),
  }
  const created = { ...fence, waitpoint: point, key: point.charAt(0), kid: 'k1', scope: 'attempt' }
  const secret = 's'.repeat(43)
  return [
    () => encodeCall('execution.suspend', suspension),
    () => encodeCall('execution.suspend', { ...suspension, points: fresh }),
    () => encodeCall('execution.resume', { id, resume_id: step.padEnd(22, 'r') }),
    () => encodeCall('waitpoint.create', created),
    () => encodeCall('waitpoint.create', { ...created, expires_ms: 1000 }),
    () => encodeCall('waitpoint.close', { ...fence, waitpoint: point, why: 'why' }),
    () => encodeCall('waitpoint.list', { id, with_signals: false }),
    () => encodeCall('signal.deliver', signal),
    () => encodeCall('signal.deliver', { ...signal, attempt: 0 }),
    () => encodeCall('signal.list', { id, after: 0, count: 5 }),
    () => encodeCall('signal.observe', { id, attempt: 0 }),
    () => encodeCall('keyring.seed', { kid: 'k1', secret }),
    () => encodeCall('keyring.rotate', { kid: 'k1', secret, grace_ms: 5 }),
    () => encodeCall('partition.suspended', { count: 5 }),
    () => encodeCall('partition.allow', { signals_per_suspension: random.one([undefined, 3]) }),
  ]
}

function operation(random: Random, known: Awaited<ReturnType<typeof fences>>, step: string): Wire {
  const id = random.one(ids)
  const lane = random.one(['a', 'b'])
  const fence = { id, ...(known.get(id) ?? { attempt: 0, lease_id: 'no.1', epoch: 1 }) }
  const settle = { ...fence, digest: random.one(['d', 'e']).repeat(22) }
  const submission = {
    id,
    lane,
    task: 'task',
    input: Buffer.from('input'),
    delay_ms: random.one([undefined, 0, 50]),
    priority: random.one([undefined, 5]),
    deadline_ms: random.one([undefined, 500]),
    attempt_timeout_ms: random.one([undefined, 300]),
    reclaims_max: random.one([undefined, 1]),
    retention_ms: random.one([undefined, 0, 100]),
    capabilities: random.one([undefined, 'x']),
    retry: random.one([undefined, '3 fixed 20 20 2000 0 ti']),
  }
  const claim = {
    lanes: random.one(['a', 'b', 'a,b']),
    capabilities: random.one(['', 'x']),
    kinds: random.one(['frc', 'f']),
    count: 1 + random.below(3),
    worker: 'worker',
    lease_id: random.one([step, 'mine']),
    lease_ms: random.one([100, 1000]),
  }
  return random.one<() => Wire>([
    ...waiting(random, fence, id, step),
    () => encodeCall('execution.submit', submission),
    () => encodeCall('execution.submit', { ...submission, priority: undefined }),
    () => encodeCall('lease.claim', claim),
    () => encodeCall('lease.claim', { ...claim, count: 2 }),
    () => encodeCall('lease.find', { lease_id: 'mine', count: 3 }),
    () => encodeCall('lease.renew', fence),
    () => encodeCall('execution.progress', { ...fence, percent: 5, note: 'note' }),
    () => encodeCall('execution.complete', { ...settle, result: Buffer.from('result') }),
    () =>
      encodeCall('execution.fail', {
        ...settle,
        class: 'transient',
        failure: Buffer.from('{}'),
        random_ppm: 5,
      }),
    () => encodeCall('execution.cancel', { ...settle, why: 'why' }),
    () =>
      encodeCall('execution.delay', {
        ...settle,
        until_ms: clock.nowMs() + random.one([-1, 0, 60]),
      }),
    () => encodeCall('lease.revoke', { id, lease_id: undefined }),
    () => encodeCall('execution.block', { id, why: 'reason' }),
    () => encodeCall('execution.unblock', { id, why: 'reason' }),
    () => encodeCall('execution.reprioritize', { id, priority: random.below(9) }),
    () => encodeCall('execution.cancel_by_operator', { id, why: 'why' }),
    () => encodeCall('execution.replay', { id, replay_id: step }),
    () => encodeCall('execution.purge', { id }),
    () => encodeCall('execution.describe', { id }),
    () => encodeCall('execution.watch', { id }),
    () => encodeCall('lane.set_state', { lane, state: random.one(['active', 'paused']) }),
    () => encodeCall('lane.list', {}),
    () => encodeCall('partition.list', { after: undefined, count: 10 }),
    () => encodeCall('partition.sweep', { count: 100 }),
    () =>
      encodeCall('lease.grant', {
        id,
        of: random.one(['runnable', 'leased']),
        grant_id: step,
        worker: 'worker',
        grant_ms: 40,
        capabilities: 'x',
      }),
  ])()
}

const call = (tag: string, wire: Wire) =>
  at.redis.callBuffer('FCALL', ...(batchOf(tag, wire) as string[])) as Promise<unknown[]>

test.each(Array.from({ length: runs }, (_, run) => run))(
  'A random batch is the same as its operations one by one, run %i',
  async (run) => {
    const random = new Random(`batching ${run}`)
    await at.redis.flushall()
    for (let step = 0; step < stepsPerRun; step++) {
      const known = await fences()
      const batch = Array.from({ length: 1 + random.below(8) }, (_, index) =>
        operation(random, known, `s${step}-${index}`),
      )
      const replies = await call(together, batch.flat())
      const single: unknown[] = []
      for (const wire of batch) single.push(...(await call(apart, wire)))
      const shown = batch.map((wire) => wire.join(' ')).join('\n')
      expect(replies, shown).toEqual(single)
      const [one, other] = [await dump(together), await dump(apart)]
      expect(one, shown).toEqual(other)
      await clock.advance(random.one([0, 1, 20, 50, 100, 300]))
    }
  },
)

/** All that is stored under the tag, without the tag. */
async function dump(tag: string): Promise<unknown> {
  const found = await canonicalDump(at.redis, `${tag}:*`)
  const others = found.filter(([key]) => !isFeed(key, tag))
  const told = found.filter(([key]) => isFeed(key, tag)).flatMap(([, , [text]]) => events(text))
  return [...others.map(([key, ...rest]) => [key.slice(tag.length), ...rest]), told.sort()]
}

const isFeed = (key: string, tag: string) => /^:(feed|segments)/.test(key.slice(tag.length))

/** Only how the feed is cut into lines and segments depends on what travelled together. */
function events(text = ''): string[] {
  return text
    .split('\n')
    .filter((line) => line.includes(' '))
    .flatMap((line) => {
      const [time, ...words] = line.split(' ')
      const starts = Array.from({ length: words.length / 7 }, (_, at) => at * 7)
      return starts.map((from) => [time, ...words.slice(from, from + 7)].join(' '))
    })
}
