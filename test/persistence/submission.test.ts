// How a submission becomes the arguments of the stored operation, and what it is known by.
import { describe, expect, test } from 'vitest'
import type { Submission } from '../../src/index.ts'
import { bounds } from '../../src/limits.ts'
import { formatCapabilities, submitArguments } from '../../src/persistence/submission.ts'

const plain: Submission = { lane: 'lane', task: 'task', input: Buffer.from('input') }

const args = (overrides: Partial<Submission> = {}) => submitArguments({ ...plain, ...overrides })

function fingerprint(overrides: Partial<Submission>): string | undefined {
  return args({ idempotencyKey: 'key', ...overrides }).fingerprint
}

describe('the arguments of a submission', () => {
  test('are those three when nothing else is said', () => {
    const given = Object.entries(args()).filter(([, value]) => value !== undefined)
    expect(Object.fromEntries(given)).toEqual(plain)
  })

  test('leave out what is said and is the default, so that it takes no room', () => {
    const said = args({ priority: 0, capabilities: [], tags: {}, retry: { attempts: 1 } })
    expect(said).toEqual(args())
  })

  test('are what was said', () => {
    expect(
      args({
        priority: 9,
        delayMs: 5,
        deadlineMs: 10,
        attemptTimeoutMs: 15,
        retentionMs: 20,
        reclaimsMax: 25,
        capabilities: ['b', 'a'],
        tags: { z: '1', a: '2' },
        retry: { attempts: 2 },
      }),
    ).toMatchObject({
      priority: 9,
      delay_ms: 5,
      deadline_ms: 10,
      attempt_timeout_ms: 15,
      retention_ms: 20,
      reclaims_max: 25,
      capabilities: 'a,b',
      tags: '{"a":"2","z":"1"}',
      retry: '2 fixed 1000 60000 2000 0 ti',
    })
  })

  test('prefer a length of time to a time', () => {
    expect(args({ delayMs: 5, startAtMs: 7, deadlineMs: 8, deadlineAtMs: 9 })).toMatchObject({
      delay_ms: 5,
      not_before: undefined,
      deadline_ms: 8,
      deadline_at: undefined,
    })
    expect(args({ startAtMs: 7, deadlineAtMs: 9 })).toMatchObject({
      not_before: 7,
      deadline_at: 9,
    })
  })

  test('keep for a hundred years what is kept for ever', () => {
    expect(args({ retentionMs: 'forever' }).retention_ms).toBe(bounds.retention_ms.max)
  })

  test.each<[string, Partial<Submission>]>([
    ['input', { input: 'text' as unknown as Uint8Array }],
    ['input', { input: new Uint8Array(1_048_577) }],
    ['idempotencyKey', { idempotencyKey: '' }],
    ['idempotencyKey', { idempotencyKey: 'é'.repeat(129) }],
    ['idempotencyKey', { idempotencyKey: 7 as unknown as string }],
    ['tags', { tags: { '': 'x' } }],
    ['tags', { tags: { '1a': 'x' } }],
    ['tags', { tags: { a: 5 as unknown as string } }],
    ['tags', { tags: { a: 'é'.repeat(129) } }],
    ['tags', { tags: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`t${n}`, ''])) }],
    ['retry', { retry: { attempts: 0 } }],
    ['retry', { retry: { attempts: 1.5 } }],
    ['retry', { retry: { attempts: Number.NaN } }],
    ['retry', { retry: { attempts: 10_002 } }],
    ['retry', { retry: { attempts: 2, delayMs: 0 } }],
    ['retry', { retry: { attempts: 2, maxDelayMs: 0 } }],
    ['retry', { retry: { attempts: 2, multiplier: 0.999 } }],
    ['retry', { retry: { attempts: 2, multiplier: 1.0005 } }],
    ['retry', { retry: { attempts: 2, backoff: 'linear' as 'fixed' } }],
    ['retry', { retry: { attempts: 2, on: ['bad luck' as 'transient'] } }],
    ['retry', { retry: { attempts: 2, on: 'transient' as unknown as [] } }],
  ])('are refused for a wrong %s: %#', (argument, overrides) => {
    expect(() => args(overrides)).toThrow(
      expect.objectContaining({
        code: 'invalid_input',
        details: expect.objectContaining({ argument }),
      }),
    )
  })

  test.each([
    [1.1, '1100'],
    [2.003, '2003'],
    [4.35, '4350'],
    [16.1, '16100'],
    [100, '100000'],
  ])('take a multiplier of %d exactly', (multiplier, stored) => {
    expect(args({ retry: { attempts: 2, multiplier } }).retry?.split(' ')[4]).toBe(stored)
  })

  test('let the longest wait be no shorter than the first', () => {
    expect(args({ retry: { attempts: 2, delayMs: 120_000 } }).retry).toBe(
      '2 fixed 120000 120000 2000 0 ti',
    )
  })
})

describe('what a submission under a key is known by', () => {
  test('is its key, not to be read back, and everything that it says', () => {
    const said = args({ idempotencyKey: 'order-17' })
    expect(said.key).toMatch(/^[\w-]{22}$/)
    expect(said.key).not.toContain('17')
    expect(said.fingerprint).toMatch(/^[\w-]{22}$/)
    expect(args({ idempotencyKey: 'order-18' }).key).not.toBe(said.key)
  })

  test('is equal for equal submissions, however they are written', () => {
    const one = fingerprint({ tags: { a: '1', b: '2' }, capabilities: ['x', 'y'], priority: 0 })
    const other = fingerprint({ tags: { b: '2', a: '1' }, capabilities: ['y', 'x', 'x'] })
    expect(one).toBe(other)
    const policy = { attempts: 2, delayMs: 1000, multiplier: 2, jitter: false } as const
    expect(fingerprint({ retry: { attempts: 2 } })).toBe(fingerprint({ retry: policy }))
  })

  test('does not depend on the key itself', () => {
    expect(fingerprint({ idempotencyKey: 'a' })).toBe(fingerprint({ idempotencyKey: 'b' }))
  })

  test.each<[string, Partial<Submission>]>([
    ['input', { input: Buffer.from('other') }],
    ['lane', { lane: 'other' }],
    ['task', { task: 'other' }],
    ['priority', { priority: 1 }],
    ['delay', { delayMs: 1 }],
    ['start', { startAtMs: 1 }],
    ['deadline', { deadlineMs: 1 }],
    ['timeout', { attemptTimeoutMs: 1 }],
    ['retention', { retentionMs: 1 }],
    ['reclaims', { reclaimsMax: 1 }],
    ['capability', { capabilities: ['x'] }],
    ['tag', { tags: { a: 'b' } }],
    ['retry policy', { retry: { attempts: 2 } }],
  ])('differs with another %s', (_what, overrides) => {
    expect(fingerprint(overrides)).not.toBe(fingerprint({}))
  })
})

describe('capabilities', () => {
  test('are sorted by their bytes and told once', () => {
    expect(formatCapabilities(['b', 'a', 'ü', 'Z', 'b'])).toBe('Z,a,b,ü')
    expect(formatCapabilities([])).toBe('')
    expect(formatCapabilities(undefined)).toBe('')
  })

  test.each([[['']], [['a,b']], [[5 as unknown as string]]])('cannot be %j', (capabilities) => {
    expect(() => formatCapabilities(capabilities)).toThrow(
      expect.objectContaining({ code: 'invalid_capabilities' }),
    )
  })
})
