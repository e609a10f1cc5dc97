// The stored form of a retry policy, and the waits that it leads to.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bounds, bytesMax, type FailureClass, failureClasses } from '../../src/limits.ts'
import {
  backoffMs,
  formatRetryPolicy,
  parseRetryPolicy,
  type StoredRetryPolicy,
} from '../../src/persistence/retry-policy.ts'

const policy: StoredRetryPolicy = {
  attempts: 5,
  backoff: 'exponential',
  firstMs: 100,
  longestMs: 60_000,
  multiplierMilli: 2000,
  jitter: false,
  classes: ['transient', 'infra_crash'],
}

const between = ({ min, max }: { min: number; max: number }) => fc.integer({ min, max })

const policies: fc.Arbitrary<StoredRetryPolicy> = fc.record({
  attempts: between(bounds.attempts_max),
  backoff: fc.constantFrom('fixed', 'exponential'),
  firstMs: between(bounds.backoff_ms),
  longestMs: between(bounds.backoff_ms),
  multiplierMilli: between(bounds.multiplier_milli),
  jitter: fc.boolean(),
  classes: fc
    .subarray([...failureClasses] as FailureClass[])
    .map((names) => failureClasses.filter((name) => names.includes(name))),
})

describe('a stored retry policy', () => {
  test('is one short line', () => {
    expect(formatRetryPolicy(policy)).toBe('5 exponential 100 60000 2000 0 ti')
  })

  test('is the same text for the same classes, in whatever order and however often', () => {
    const classes: FailureClass[] = ['infra_crash', 'transient', 'infra_crash']
    expect(formatRetryPolicy({ ...policy, classes })).toBe(formatRetryPolicy(policy))
  })

  test('is read back as it was, whatever it says, and fits into a word', () => {
    fc.assert(
      fc.property(policies, (any) => {
        const text = formatRetryPolicy(any)
        expect(text.length).toBeLessThanOrEqual(bytesMax.word)
        expect(parseRetryPolicy(text)).toEqual(any)
      }),
    )
  })

  test.each([
    '',
    'x',
    '5',
    '5 exponential 100 60000 2000 0',
    '5 linear 100 60000 2000 0 t',
    '5 fixed 100 60000 2000 2 t',
    '5 fixed 100 60000 2000 0 x',
    '5 fixed 100 60000 2000 0 t ',
    ' 5 fixed 100 60000 2000 0 t',
    '5  fixed 100 60000 2000 0 t',
    '5 fixed 1.5 60000 2000 0 t',
    '5 fixed -1 60000 2000 0 t',
    '5 fixed 1e3 60000 2000 0 t',
    '0 fixed 100 60000 2000 0 t',
    '10002 fixed 100 60000 2000 0 t',
    '5 fixed 0 60000 2000 0 t',
    '5 fixed 100 0 2000 0 t',
    '5 fixed 2592000001 60000 2000 0 t',
    '5 fixed 100 2592000001 2000 0 t',
    '5 fixed 100 60000 999 0 t',
    '5 fixed 100 60000 100001 0 t',
    '5 fixed NaN 60000 2000 0 t',
    `5 fixed 100 60000 2000 0 ${'t'.repeat(50)}`,
    '5 fixed 100 60000 2000 0 t\n',
  ])('is none of %j', (text) => {
    expect(parseRetryPolicy(text)).toBeUndefined()
  })

  test('may name no class, and then nothing is retried', () => {
    expect(parseRetryPolicy('5 fixed 100 60000 2000 0 ')).toMatchObject({ classes: [] })
  })
})

describe('the wait before a retry', () => {
  const waits = (some: Partial<StoredRetryPolicy>, count: number, ppm = 0) =>
    Array.from({ length: count }, (_, n) => backoffMs({ ...policy, ...some }, n, ppm))

  test('is the same each time when it is fixed', () => {
    expect(waits({ backoff: 'fixed' }, 4)).toEqual([100, 100, 100, 100])
    expect(waits({ backoff: 'fixed', longestMs: 60 }, 2)).toEqual([60, 60])
  })

  test('grows by its factor up to the longest', () => {
    expect(waits({ longestMs: 1000 }, 6)).toEqual([100, 200, 400, 800, 1000, 1000])
    expect(waits({ multiplierMilli: 1500 }, 4)).toEqual([100, 150, 225, 337])
    expect(waits({ multiplierMilli: 1000 }, 3)).toEqual([100, 100, 100])
    expect(waits({ firstMs: 5000, longestMs: 1000 }, 3)).toEqual([1000, 1000, 1000])
  })

  test('is drawn from nothing up to what it would be, and is at least a millisecond', () => {
    expect(waits({ jitter: true }, 3, 500_000)).toEqual([50, 100, 200])
    expect(waits({ jitter: true }, 3, 999_999)).toEqual([99, 199, 399])
    expect(waits({ jitter: true }, 3, 0)).toEqual([1, 1, 1])
  })

  test('is a whole number within its bounds, for every policy and every retry', () => {
    const ppm = between(bounds.random_ppm)
    const n = fc.oneof(fc.nat(20), fc.nat(10_000))
    fc.assert(
      fc.property(policies, n, ppm, (any, retry, random) => {
        const waitMs = backoffMs(any, retry, random)
        expect(Number.isSafeInteger(waitMs)).toBe(true)
        expect(waitMs).toBeGreaterThanOrEqual(1)
        expect(waitMs).toBeLessThanOrEqual(any.longestMs)
        const next = backoffMs(any, retry + 1, random)
        expect(next).toBeGreaterThanOrEqual(waitMs)
      }),
    )
  })
})
