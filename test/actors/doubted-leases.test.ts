// Leases that are said to be lost: they are asked about at once, and signals say who and why.
import { describe, expect, test } from 'vitest'
import type { AttemptPool } from '../../src/actors/attempt-pool.ts'
import { type ClaimedExecution, EngineError } from '../../src/index.ts'
import { gate } from '../engine/staged.ts'
import { backend, claimed, end, makePool, signalOf, useDirectedPools } from './directed-pool.ts'

useDirectedPools()

describe('a lease that is said to be lost', () => {
  const lost = (name: string, more: object = {}) =>
    ({ executionId: `0-${name}`, epoch: 1, event: 'cancelExecution', ...more }) as const
  const cancelled = new EngineError('execution_not_active', 'gone', {
    details: {
      state: 'terminal.cancelled',
      epoch: '1',
      reason: 'cancelled_by_operator',
      message: 'x',
    },
  })

  /** Renews what is doubted by now; nothing when nothing is. */
  async function renewDoubted(pool: AttemptPool): Promise<void> {
    const control = new AbortController()
    const renewing = pool.renewDoubted(control.signal)
    control.abort()
    await renewing
  }

  test('is asked about, and its signal says who took it and why', async () => {
    const pool = makePool(2)
    pool.start(claimed('a'))
    pool.start(claimed('b'))
    backend.refusals.set('renew a', cancelled)
    pool.hear(lost('a'))
    await renewDoubted(pool)
    expect(backend.calls).toEqual(['renew a'])
    expect(signalOf('a').reason).toMatchObject({
      code: 'execution_cancelled',
      cause: cancelled,
      details: { executionId: '0-a', attempt: 0, epoch: 1, message: 'x' },
    })
    expect(signalOf('b').aborted).toBe(false)
  })

  test('goes on when it is not lost at all', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    pool.hear(lost('a'))
    await renewDoubted(pool)
    expect(signalOf('a').aborted).toBe(false)
    backend.refusals.set('renew a', new EngineError('stale_lease', 'superseded'))
    await pool.renewAll()
    expect(signalOf('a').reason).toMatchObject({ code: 'stale_lease' })
  })

  test('is another one when its epoch is another', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    pool.hear(lost('a', { epoch: 2 }))
    pool.hear(lost('b'))
    await renewDoubted(pool)
    expect(backend.calls).toEqual([])
  })

  test('is any of them after a gap', async () => {
    const pool = makePool(3)
    for (const name of ['a', 'b', 'c']) pool.start(claimed(name))
    await end('b')
    pool.hear(undefined)
    await renewDoubted(pool)
    expect(backend.calls).toEqual(['complete b', 'renew a c'])
  })

  test('is not asked about once it was given back', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    pool.hear(lost('a'))
    await end('a')
    await renewDoubted(pool)
    expect(backend.calls).toEqual(['complete a'])
  })

  test.each([
    ['by its name', [lost('a')], 'renew a'],
    ['after a gap', [undefined], 'renew a b'],
    ['among a thousand', Array.from({ length: 1001 }, (_, at) => lost(`x${at}`)), 'renew a b'],
  ])('is asked about when news overtook the claim: %s', async (_how, told, call) => {
    const pool = makePool(2)
    const answer = gate<readonly ClaimedExecution[]>()
    const taken = pool.take(answer.passed, new AbortController().signal)
    for (const each of told) pool.hear(each)
    answer.open([claimed('a'), claimed('b')])
    await taken
    await renewDoubted(pool)
    expect(backend.calls).toEqual([call])
  })

  test.each([
    ['timeOut', { state: 'delayed.retry', epoch: '1', reason: '' }, 'attempt_timed_out'],
    ['timeOut', { state: 'leased.held', epoch: '2' }, 'attempt_timed_out'],
    [undefined, { state: 'delayed.retry', epoch: '1', reason: '' }, 'attempt_timed_out'],
    [undefined, { state: 'delayed.retry', epoch: '2', reason: '' }, 'execution_not_active'],
    ['loseLease', { state: 'leased.held', epoch: '2' }, 'lease_expired'],
    [
      'loseLease',
      { state: 'terminal.failed', epoch: '1', reason: 'max_reclaims_exceeded' },
      'execution_failed',
    ],
    [undefined, { state: 'terminal.cancelled', epoch: '2', reason: 'x' }, 'execution_cancelled'],
    ['skip', { state: 'terminal.skipped', epoch: '1', reason: 'x' }, 'execution_skipped'],
    [undefined, { state: 'terminal.completed', epoch: '2', reason: '' }, 'execution_not_active'],
  ] as const)('%s, and %j by now, reads %s', async (event, details, code) => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    const error = new EngineError('execution_not_active', 'gone', { details })
    backend.refusals.set('renew a', error)
    pool.hear(event && lost('a', { event }))
    await renewDoubted(pool)
    expect(signalOf('a').reason).toMatchObject({ code })
  })
})
