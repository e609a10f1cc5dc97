// Stored records as the public sees them: every field, every ending, and what does not parse.
import { describe, expect, test } from 'vitest'
import { bytesMax } from '../../src/limits.ts'
import type { Answer } from '../../src/persistence/contract.ts'
import { formatFailure, readEnding, readSnapshot } from '../../src/persistence/snapshot.ts'

type Found = Extract<Answer<'execution.describe'>, { outcome: 'found' }>
type Ended = Extract<Answer<'execution.watch'>, { outcome: 'ended' }>

const local = '01m83y6swf5ffkx83x1aj6g3gw'
const id = `4-${local}`

const fields = {
  lane: 'lane',
  task: 'task',
  state: 'runnable.ready',
  created_at: '1000',
  updated_at: '2000',
}

function read(more: Record<string, string> = {}, found: Partial<Found> = {}) {
  const record = { ...fields, ...more }
  return readSnapshot(4, local, {
    outcome: 'found',
    fields: record,
    note: undefined,
    tags: undefined,
    attempts: [],
    suspension: {},
    group: undefined,
    ...found,
  })
}

/** Names the execution, the record and the field. */
const corruption = (field: unknown = expect.any(String), kind = 'x') =>
  expect.objectContaining({
    code: 'corruption',
    details: { executionId: id, key: `${kind}:${local}`, field, why: expect.any(String) },
  })

describe('a snapshot', () => {
  test('of a record with nothing but what every record has', () => {
    expect(read()).toEqual({
      executionId: id,
      lane: 'lane',
      task: 'task',
      state: 'runnable.ready',
      publicState: 'waiting',
      priority: 0,
      createdAtMs: 1000,
      updatedAtMs: 2000,
      endedAtMs: undefined,
      startsAtMs: undefined,
      deadlineAtMs: undefined,
      blockedBy: undefined,
      withheldBy: undefined,
      fairnessKey: undefined,
      limit: undefined,
      reason: undefined,
      failureClass: undefined,
      totalAttempts: 0,
      currentAttempt: undefined,
      currentLease: undefined,
      retries: 0,
      reclaims: 0,
      replays: 0,
      progress: { percent: undefined, message: undefined },
      capabilities: [],
      budgets: [],
      gated: false,
      tags: {},
      endedAttempts: [],
    })
  })

  test('of a record with everything', () => {
    const held = read(
      {
        state: 'leased.held',
        priority: '7',
        not_before: '900',
        deadline_at: '9000',
        attempt: '2',
        started_at: '1500',
        epoch: '2000000000000123',
        worker: 'w',
        expires_at: '3000',
        retries: '1',
        reclaims: '1',
        replays: '3',
        progress: '0',
        capabilities: 'a,b',
      },
      {
        note: 'reading',
        tags: '{"a":"1"}',
        attempts: ['0 initial 5 w1 1000 1100 transient', '1 retry 6 w2 1200 1300 expired'],
      },
    )
    expect(held).toMatchObject({
      publicState: 'active',
      priority: 7,
      startsAtMs: 900,
      deadlineAtMs: 9000,
      totalAttempts: 3,
      currentAttempt: { attempt: 2, startedAtMs: 1500 },
      currentLease: { epoch: 2_000_000_000_000_123, worker: 'w', expiresAtMs: 3000 },
      retries: 1,
      reclaims: 1,
      replays: 3,
      progress: { percent: 0, message: 'reading' },
      capabilities: ['a', 'b'],
      tags: { a: '1' },
    })
    expect(held.endedAttempts).toEqual([
      {
        attempt: 0,
        type: 'initial',
        epoch: 5,
        worker: 'w1',
        startedAtMs: 1000,
        endedAtMs: 1100,
        how: 'transient',
      },
      {
        attempt: 1,
        type: 'retry',
        epoch: 6,
        worker: 'w2',
        startedAtMs: 1200,
        endedAtMs: 1300,
        how: 'expired',
      },
    ])
  })

  test.each(['leased.expired', 'leased.revoked', 'runnable.resumed', 'terminal.completed'])(
    'in %s shows no lease',
    (state) => {
      const lease = { attempt: '0', started_at: '1', epoch: '5', worker: 'w', expires_at: '3' }
      expect(read({ state, ...lease }).currentLease).toBeUndefined()
    },
  )

  const held = { state: 'leased.held', attempt: '0', started_at: '1' }

  test.each<[string, Record<string, string>, field: string]>([
    ['in no known state', { state: 'asleep' }, 'state'],
    ['in no state at all', { state: '' }, 'state'],
    ['without a name of its lane', { lane: '' }, 'lane'],
    ['with a priority that is no number', { priority: 'high' }, 'priority'],
    ['with a time that is no whole number', { created_at: '1.5' }, 'created_at'],
    ['with a time in another notation', { updated_at: '1e3' }, 'updated_at'],
    ['with a time beyond whole numbers', { updated_at: '9007199254740993' }, 'updated_at'],
    ['with a start that is none', { not_before: 'soon' }, 'not_before'],
    ['with a deadline that is none', { deadline_at: '-5' }, 'deadline_at'],
    ['with an end that is none', { ended_at: '0x10' }, 'ended_at'],
    ['with an empty reason', { reason: '' }, 'reason'],
    ['blocked by nothing', { block_reason: '' }, 'block_reason'],
    ['with an unknown class of failure', { class: 'bad luck' }, 'class'],
    ['with a negative count', { retries: '-1' }, 'retries'],
    ['with an empty number', { reclaims: '' }, 'reclaims'],
    ['with a number of replays that is none', { replays: '01' }, 'replays'],
    ['with more than all of its progress', { progress: '101' }, 'progress'],
    ['with an attempt that is none', { attempt: 'x' }, 'attempt'],
    ['with an attempt that never started', { attempt: '0' }, 'started_at'],
    ['leased to nobody', { ...held, epoch: '5', expires_at: '3' }, 'worker'],
    ['leased without an epoch', { ...held, worker: 'w', expires_at: '3' }, 'epoch'],
    ['leased for ever', { ...held, worker: 'w', epoch: '5' }, 'expires_at'],
  ])('is refused as corrupt: %s', (_what, more, field) => {
    expect(() => read(more)).toThrow(corruption(field))
  })

  test.each(Object.keys(fields))('is refused as corrupt without %s', (name) => {
    const rest = Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name))
    expect(() => read({}, { fields: rest })).toThrow(corruption(name))
  })

  test.each<[string, Partial<Found>, kind: string, field: string]>([
    ['tags that are cut off', { tags: '{"a":' }, 'tags', 'record'],
    ['tags that are no object', { tags: '5' }, 'tags', 'record'],
    ['tags that are a list', { tags: '[]' }, 'tags', 'record'],
    ['tags that are nothing', { tags: 'null' }, 'tags', 'record'],
    ['a tag that is no text', { tags: '{"a":"1","b":2}' }, 'tags', 'b'],
    ['a short attempt', { attempts: ['0 initial 5 w 1000 1100'] }, 'attempts', '0'],
    [
      'an attempt whose number is none',
      { attempts: ['0 initial 5 w 1 2 transient', 'x initial 5 w 1000 1100 transient'] },
      'attempts',
      '1',
    ],
    ['an attempt whose time is none', { attempts: ['0 initial 5 w x 2 timeout'] }, 'attempts', '0'],
    ['an attempt of no kind', { attempts: ['0 first 5 w 1 2 timeout'] }, 'attempts', 'type'],
  ])('is refused as corrupt with %s', (_what, found, kind, field) => {
    expect(() => read({}, found)).toThrow(corruption(field, kind))
  })

  const suspension = {
    id: 's',
    reason: 'waiting_for_signal',
    at: '1000',
    behaviour: 'fail',
    count: '0',
    points: 'a,b',
  }

  test('shows its suspension', () => {
    expect(read({}, { suspension }).suspension).toEqual({
      suspensionId: 's',
      reason: 'waiting_for_signal',
      suspendedAtMs: 1000,
      timeoutAtMs: undefined,
      onTimeout: 'fail',
      pointer: undefined,
      signalCount: 0,
      waitpointIds: ['a', 'b'],
      closedAtMs: undefined,
      closeReason: undefined,
    })
  })

  test.each(Object.keys(suspension))(
    'is refused as corrupt without %s of its suspension',
    (name) => {
      const rest = Object.fromEntries(Object.entries(suspension).filter(([key]) => key !== name))
      expect(() => read({}, { suspension: rest })).toThrow(corruption(name, 'wait'))
    },
  )

  test.each(['at', 'timeout_at', 'count', 'closed_at', 'behaviour'])(
    'is refused as corrupt with another %s of its suspension',
    (name) => {
      const damaged = { ...suspension, [name]: 'x' }
      expect(() => read({}, { suspension: damaged })).toThrow(corruption(name, 'wait'))
    },
  )
})

describe('an ending', () => {
  const end = (ended: Partial<Ended>) =>
    readEnding(id, {
      outcome: 'ended',
      state: 'terminal.completed',
      reason: undefined,
      class: undefined,
      ending: undefined,
      ...ended,
    } as Ended)

  test('that went well has its result, byte for byte, or none', () => {
    const result = Buffer.from([0, 255, 10])
    expect(end({ ending: result })).toEqual({ outcome: 'completed', result })
    expect(end({})).toEqual({ outcome: 'completed', result: undefined })
  })

  test('that failed has its failure, as it was told', () => {
    const detail = Buffer.from([0, 1, 254, 255])
    const told = { message: 'no "quotes" \n ü 🔑', detail }
    const failed = end({
      state: 'terminal.failed',
      reason: 'failed',
      class: 'transient',
      ending: formatFailure(told),
    })
    expect(failed).toEqual({
      outcome: 'failed',
      reason: 'failed',
      failureClass: 'transient',
      failure: told,
    })
    const brief = end({
      state: 'terminal.failed',
      reason: 'failed',
      ending: formatFailure({ message: '' }),
    })
    expect(brief).toMatchObject({ failure: { message: '' } })
    expect(end({ state: 'terminal.failed', reason: 'max_reclaims_exceeded' })).toMatchObject({
      failure: undefined,
      failureClass: undefined,
    })
  })

  test('that was decided by somebody says why', () => {
    const ending = Buffer.from('not needed')
    expect(end({ state: 'terminal.cancelled', reason: 'cancelled', ending })).toEqual({
      outcome: 'cancelled',
      reason: 'cancelled',
      message: 'not needed',
    })
    const reason = 'suspension_timeout'
    expect(end({ state: 'terminal.cancelled', reason })).toMatchObject({ message: '' })
    expect(end({ state: 'terminal.expired', reason: 'deadline' })).toEqual({
      outcome: 'expired',
      reason: 'deadline',
    })
    expect(end({ state: 'terminal.skipped' })).toEqual({ outcome: 'skipped', reason: '' })
  })

  const failed = { state: 'terminal.failed', reason: 'failed' } as const
  const told = (text: string) => ({ ...failed, ending: Buffer.from(text) })

  test.each<[string, Partial<Ended>, kind: string, field: string]>([
    ['is none', { state: 'runnable.ready', reason: 'x' }, 'x', 'state'],
    ['has no reason', { state: 'terminal.expired' }, 'x', 'reason'],
    ['has an unknown class', { ...failed, class: 'bad luck' }, 'x', 'class'],
    ['has a failure that is no JSON', told('{'), 'out', 'record'],
    ['has a failure that is no object', told('[]'), 'out', 'record'],
    ['has a failure without a message', told('{"detail":"AA=="}'), 'out', 'message'],
    ['has a detail that is no text', told('{"message":"","detail":5}'), 'out', 'detail'],
    ['has a detail that is not base64', told('{"message":"","detail":"?"}'), 'out', 'detail'],
  ])('is refused as corrupt when it %s', (_what, ended, kind, field) => {
    expect(() => end(ended)).toThrow(corruption(field, kind))
  })
})

describe('a failure', () => {
  test.each<[string, unknown, unknown]>([
    ['message', 'x'.repeat(2049), undefined],
    ['message', 'é'.repeat(1025), undefined],
    ['message', 5, undefined],
    ['message', undefined, undefined],
    ['detail', 'fine', 'text'],
    ['detail', 'fine', new Uint8Array(65_537)],
  ])('is refused for a wrong %s: %#', (argument, message, detail) => {
    const reason = { message: message as string, detail: detail as Uint8Array }
    expect(() => formatFailure(reason)).toThrow(
      expect.objectContaining({ code: 'invalid_input', details: { argument } }),
    )
  })

  test('of the largest size fits into what may be stored', () => {
    const detail = new Uint8Array(65_536)
    for (const message of ['x'.repeat(2048), '🔑'.repeat(512), '\u0001'.repeat(2048)]) {
      const { byteLength } = formatFailure({ message, detail })
      expect(byteLength).toBeLessThanOrEqual(bytesMax.failure)
    }
  })
})
