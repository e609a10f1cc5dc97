// Handles: how the proof of a lease is written, read back, and refused.
import { describe, expect, test } from 'vitest'
import type { Handle } from '../../src/index.ts'
import type { ClaimedRow } from '../../src/persistence/generated/operations.ts'
import { claimedExecution, parseHandle } from '../../src/persistence/handle.ts'

const local = '01m83y6swf5ffkx83x1aj6g3gw'

const row: ClaimedRow = {
  id: local,
  kind: 'fresh',
  lane: 'lane',
  task: 'task',
  attempt: 3,
  attempt_type: 'retry',
  lease_id: 'wLrCnNqV7b4o2GdX',
  lease_ms: 30_000,
  epoch: 2_000_000_000_000_123,
  expires_at: 2_000_000_030_000,
  attempt_deadline_at: undefined,
  created_at: 1_999_999_999_999,
  input: Buffer.from('input'),
}

const { handle } = claimedExecution('valkey', 7, row)

/** The handle with one of its parts replaced: 0 version, 1 id, 2 attempt, 3 lease, 4 epoch. */
function changed(part: number, text: string): Handle {
  const parts = handle.opaque.split('|')
  parts[part] = text
  return { ...handle, opaque: parts.join('|') }
}

describe('a claimed execution', () => {
  test('says everything that there is to know to begin', () => {
    expect(claimedExecution('embedded', 0, row)).toEqual({
      handle: {
        backend: 'embedded',
        kind: 'fresh',
        opaque: `1|0-${local}|3|wLrCnNqV7b4o2GdX|2000000000000123`,
      },
      executionId: `0-${local}`,
      leaseId: 'wLrCnNqV7b4o2GdX',
      lane: 'lane',
      task: 'task',
      input: Buffer.from('input'),
      attempt: 3,
      attemptType: 'retry',
      epoch: 2_000_000_000_000_123,
      leaseMs: 30_000,
      expiresAtMs: 2_000_000_030_000,
      attemptDeadlineAtMs: undefined,
      createdAtMs: 1_999_999_999_999,
    })
  })

  test('without input has no bytes', () => {
    const { input } = claimedExecution('embedded', 0, { ...row, input: undefined })
    expect(input.byteLength).toBe(0)
  })
})

describe('a handle', () => {
  test('is read back as the fence, also after it was stored as JSON', () => {
    const stored = JSON.parse(JSON.stringify(handle)) as Handle
    expect(parseHandle('valkey', stored)).toEqual({
      partition: 7,
      id: local,
      attempt: 3,
      lease_id: 'wLrCnNqV7b4o2GdX',
      epoch: 2_000_000_000_000_123,
    })
  })

  test('is only for the backend that issued it', () => {
    expect(() => parseHandle('embedded', handle)).toThrow(
      expect.objectContaining({
        code: 'handle_from_other_backend',
        details: { expected: 'embedded', given: 'valkey' },
      }),
    )
  })

  test('of a suspended execution proves no lease', () => {
    expect(() => parseHandle('valkey', { ...handle, kind: 'suspended' })).toThrow(
      expect.objectContaining({ code: 'stale_lease' }),
    )
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['no object', 'handle'],
    ['empty', {}],
    ['without its proof', { ...handle, opaque: undefined }],
    ['with a number for its proof', { ...handle, opaque: 5 }],
    ['with an empty proof', { ...handle, opaque: '' }],
    ['of another version', changed(0, '2')],
    ['too short', { ...handle, opaque: handle.opaque.split('|').slice(0, 4).join('|') }],
    ['too long', { ...handle, opaque: `${handle.opaque}|1` }],
    ['without an execution', changed(1, '')],
    ['with a wrong execution', changed(1, `7-${local}x`)],
    ['with the execution of no partition', changed(1, local)],
    ['with a wrong attempt', changed(2, '-1')],
    ['with no attempt', changed(2, '')],
    ['with a broken attempt', changed(2, '1.5')],
    ['with an attempt in another base', changed(2, '0x3')],
    ['without a lease', changed(3, '')],
    ['with a wrong epoch', changed(4, 'now')],
    ['with an epoch beyond whole numbers', changed(4, '9999999999999999')],
    ['with an epoch that is too long', changed(4, '1'.repeat(17))],
    ['with a line at its end', changed(4, '5\n')],
  ])('is refused when it is %s', (_what, wrong) => {
    expect(() => parseHandle('valkey', wrong as Handle)).toThrow(
      expect.objectContaining({ code: 'invalid_handle' }),
    )
  })
})
