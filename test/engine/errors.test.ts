// The one error class: its codes, its words, and how it is recognised.
import { describe, expect, test } from 'vitest'
import {
  EngineError,
  type ErrorCode,
  errorCatalogue,
  invariant,
  isEngineError,
} from '../../src/errors.ts'

describe('an engine error', () => {
  test('says its code, what happened and what to do', () => {
    const cause = new Error('below')
    const error = new EngineError('stale_lease', 'lease 7 was superseded', {
      cause,
      details: { lease: '7' },
    })
    expect(error.message).toBe(
      `stale_lease: lease 7 was superseded. ${errorCatalogue.stale_lease.advice}`,
    )
    expect(error).toMatchObject({
      name: 'EngineError',
      code: 'stale_lease',
      family: 'State',
      retryable: false,
      details: { lease: '7' },
      cause,
    })
    expect(error).toBeInstanceOf(Error)
    expect(String(error)).toContain('EngineError: stale_lease')
  })

  test('has no cause and no details unless they are given', () => {
    const error = new EngineError('engine_closed', 'closed')
    expect('cause' in error).toBe(false)
    expect(error.details).toEqual({})
  })

  test('is recognised by its class and, if asked, by its code', () => {
    const error = new EngineError('lease_expired', 'gone')
    expect(isEngineError(error)).toBe(true)
    expect(isEngineError(error, 'stale_lease', 'lease_expired')).toBe(true)
    expect(isEngineError(error, 'stale_lease')).toBe(false)
    for (const other of [new Error('x'), { code: 'lease_expired' }, undefined, null, 'x']) {
      expect(isEngineError(other)).toBe(false)
    }
  })

  test('of a broken invariant is our own bug', () => {
    expect(() => invariant(true, 'fine')).not.toThrow()
    for (const broken of [false, 0, '', null, undefined]) {
      expect(() => invariant(broken, 'two holders')).toThrow(
        expect.objectContaining({ code: 'invariant_broken', family: 'Bug' }),
      )
    }
  })
})

describe('the catalogue', () => {
  const codes = Object.keys(errorCatalogue) as ErrorCode[]

  test.each(codes)('has one sentence or two of advice for %s', (code) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(errorCatalogue[code].advice).toMatch(/^[A-Z].*\.$/)
  })

  test('calls nothing retryable that only its caller can put right', () => {
    const never = ['Validation', 'Conflict', 'State', 'Contention', 'NotFound', 'Execution', 'Bug']
    const retryable = codes.filter((code) => errorCatalogue[code].retryable)
    expect(retryable).toContain('connection_timeout')
    for (const code of retryable) expect(never).not.toContain(errorCatalogue[code].family)
  })
})
