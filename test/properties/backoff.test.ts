// Retries come when a naive reckoning says, on both stores and under any policy.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type FailureClass, failureClasses } from '../../src/limits.ts'
import { formatRetryPolicy, type StoredRetryPolicy } from '../../src/persistence/retry-policy.ts'
import { observingLibrary } from '../support/observing-library.ts'
import { digestOf, plainWork } from './commands/submit.ts'
import { Model } from './model-run.ts'
import { type LockstepServer, startLockstep } from './server-run.ts'
import type { Call } from './world.ts'

const runs = 300
const failuresMax = 12
const id = '0'.repeat(26)
const longestMs = 2_592_000_000

let server: LockstepServer

beforeAll(async () => {
  server = await startLockstep(observingLibrary())
})

afterAll(() => server.stop())

const policies: fc.Arbitrary<StoredRetryPolicy> = fc.record({
  attempts: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 10_001 })),
  backoff: fc.constantFrom('fixed', 'exponential'),
  firstMs: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: longestMs })),
  longestMs: fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: longestMs })),
  multiplierMilli: fc.oneof(
    fc.integer({ min: 1000, max: 3000 }),
    fc.integer({ min: 1000, max: 100_000 }),
  ),
  jitter: fc.boolean(),
  classes: fc.subarray([...failureClasses]),
})

interface Failure {
  readonly failureClass: FailureClass
  readonly randomPpm: number
}

const failures: fc.Arbitrary<Failure[]> = fc.array(
  fc.record({
    failureClass: fc.constantFrom(...failureClasses),
    randomPpm: fc.integer({ min: 0, max: 999_999 }),
  }),
  { minLength: 1, maxLength: failuresMax, size: 'max' },
)

/** The wait as the documentation puts it, without any thought of how to get there quickly. */
function naiveWaitMs(policy: StoredRetryPolicy, retries: number, randomPpm: number): number {
  const factors = Array.from({ length: retries }, () => policy.multiplierMilli / 1000)
  const grown = factors.reduce((product, factor) => product * factor, policy.firstMs)
  const wait = Math.min(policy.backoff === 'fixed' ? policy.firstMs : grown, policy.longestMs)
  return Math.max(1, Math.floor(policy.jitter ? (wait * randomPpm) / 1_000_000 : wait))
}

async function failAgainAndAgain(policy: StoredRetryPolicy, list: readonly Failure[]) {
  const model = await Model.open()
  const take = async (call: Call) => {
    expect(await model.take({ step: 'call', call })).toBeUndefined()
    return model.performed.at(-1)?.answer
  }
  const retry = formatRetryPolicy(policy)
  const empty = Buffer.alloc(0)
  await take({ name: 'execution.submit', args: plainWork(id, { input: empty, retry }) })
  for (const [retries, { failureClass, randomPpm }] of list.entries()) {
    await take(claimOf(`lease-${retries}`))
    const fence = model.world.fences.at(-1)
    const report = { digest: digestOf('d'), class: failureClass, failure: empty }
    if (fence === undefined) throw new Error('nothing was claimed')
    const args = { ...fence, ...report, random_ppm: randomPpm }
    const answer = await take({ name: 'execution.fail', args })
    const isRetried = retries + 1 < policy.attempts && policy.classes.includes(failureClass)
    if (!isRetried) {
      expect(answer).toEqual({ outcome: 'failed', replayed: false })
      break
    }
    const at = model.world.nowMs + naiveWaitMs(policy, retries, randomPpm)
    expect(answer).toEqual({ outcome: 'retry_scheduled', retry_at: at, replayed: false })
    model.world.nowMs = at
  }
  expect(await server.difference(model.performed)).toBeUndefined()
}

function claimOf(lease_id: string): Call {
  const what = { lanes: 'lane', capabilities: '', kinds: 'frc', count: 1, worker: 'worker' }
  return { name: 'lease.claim', args: { ...what, lease_id, lease_ms: 1000, sleep_ms: undefined } }
}

it('A failed attempt is retried when its policy says, and never when it is final', async () => {
  const property = fc.asyncProperty(policies, failures, failAgainAndAgain)
  await fc.assert(property, { numRuns: runs })
})
