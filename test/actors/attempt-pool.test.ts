// The attempts of one worker: how they are begun, kept, lost and given back, call by call.
import { describe, expect, test, vi } from 'vitest'
import type { AttemptPool, Performed } from '../../src/actors/attempt-pool.ts'
import { type ClaimedExecution, EngineError } from '../../src/index.ts'
import { gate } from '../engine/staged.ts'
import {
  backend,
  claimed,
  completed,
  end,
  faults,
  leaseMs,
  makePool,
  running,
  signalOf,
  useDirectedPools,
} from './directed-pool.ts'

useDirectedPools()

describe('an attempt', () => {
  test.each<[Performed, string]>([
    [completed, 'complete a'],
    [{ outcome: 'failed', reason: { message: 'no' }, failureClass: 'transient' }, 'fail a'],
    [{ outcome: 'delayed', untilMs: 7 }, 'delay a until 7'],
  ])('gives its lease back as it ended: %j', async (how, call) => {
    const pool = makePool()
    pool.start(claimed('a'))
    await end('a', how)
    await pool.idle()
    expect(backend.calls).toEqual([call])
    expect(signalOf('a').aborted).toBe(false)
  })

  test('takes its place until its code has ended', async () => {
    const pool = makePool(2)
    expect(pool.free).toBe(2)
    pool.start(claimed('a'))
    pool.start(claimed('b'))
    expect(pool.free).toBe(0)
    await end('a')
    expect(pool.free).toBe(1)
    await end('b')
    expect(pool.free).toBe(2)
  })

  test('whose code breaks its promise not to reject is failed and reported', async () => {
    const pool = makePool(1, () => Promise.reject(new Error('broken')))
    pool.start(claimed('a'))
    await pool.idle()
    expect(backend.calls).toEqual(['fail a'])
    expect(faults).toMatchObject([{ message: 'broken' }])
    expect(pool.free).toBe(1)
  })

  test.each(['stale_lease', 'lease_expired', 'execution_not_active', 'already_settled'] as const)(
    'that lost its lease meanwhile is told so with %s, and nobody minds',
    async (code) => {
      const pool = makePool()
      backend.refusals.set('complete a', new EngineError(code, 'lost'))
      pool.start(claimed('a'))
      await end('a')
      await pool.idle()
      expect(faults).toEqual([])
    },
  )

  test('whose outcome cannot be told is reported', async () => {
    const pool = makePool()
    const error = new EngineError('connection_timeout', 'no answer')
    backend.refusals.set('complete a', error)
    pool.start(claimed('a'))
    await end('a')
    await pool.idle()
    expect(faults).toEqual([error])
  })
})

describe('waiting for a place', () => {
  test('is over at once when there is one', async () => {
    await makePool(1).whenFree(new AbortController().signal)
  })

  test('is over when an attempt has ended, and leaves no listener behind', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    const free = vi.fn()
    void pool.whenFree(new AbortController().signal).then(free)
    await vi.advanceTimersByTimeAsync(1000)
    expect(free).not.toHaveBeenCalled()
    await end('a')
    expect(free).toHaveBeenCalled()
  })

  test('is over when its signal fires', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    const control = new AbortController()
    const waiting = pool.whenFree(control.signal)
    control.abort()
    await waiting
    await pool.whenFree(control.signal)
  })
})

describe('a lease', () => {
  test('is renewed with all others in one call', async () => {
    const pool = makePool(3)
    for (const name of ['a', 'b', 'c']) pool.start(claimed(name))
    await end('b')
    await pool.renewAll()
    expect(backend.calls).toEqual(['complete b', 'renew a c'])
  })

  test('that is refused fires its own signal only, and the outcome is dropped', async () => {
    const pool = makePool(2)
    pool.start(claimed('a'))
    pool.start(claimed('b'))
    const error = new EngineError('stale_lease', 'superseded')
    backend.refusals.set('renew a', error)
    await pool.renewAll()
    expect(signalOf('a').reason).toBe(error)
    expect(signalOf('b').aborted).toBe(false)
    await end('a')
    await pool.renewAll()
    expect(backend.calls).toEqual(['renew a b', 'renew b'])
    expect(faults).toEqual([])
  })

  test('that could not be asked about is reported and kept', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    const error = new EngineError('connection_timeout', 'no answer')
    backend.refusals.set('renew a', error)
    await pool.renewAll()
    expect(faults).toEqual([error])
    expect(signalOf('a').aborted).toBe(false)
  })

  test('that was not renewed in time is lost, exactly then', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    await vi.advanceTimersByTimeAsync(leaseMs - 1)
    pool.loseLapsed()
    expect(signalOf('a').aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    pool.loseLapsed()
    expect(signalOf('a').reason).toMatchObject({ code: 'lease_expired' })
  })

  test('that was renewed counts from when the renewal was sent', async () => {
    const pool = makePool(1)
    pool.start(claimed('a'))
    await vi.advanceTimersByTimeAsync(2000)
    const answered = gate()
    const { renewMany } = backend
    vi.spyOn(backend, 'renewMany').mockImplementation(async (handles) => {
      await answered.passed
      return renewMany(handles)
    })
    const renewing = pool.renewAll()
    await vi.advanceTimersByTimeAsync(900)
    answered.open()
    await renewing
    await vi.advanceTimersByTimeAsync(leaseMs - 901)
    pool.loseLapsed()
    expect(signalOf('a').aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    pool.loseLapsed()
    expect(signalOf('a').aborted).toBe(true)
  })
})

describe('the deadline of an attempt', () => {
  const deadline = { attemptDeadlineAtMs: 1_000_000 + 500 }

  test('is asked about when it has come, and its signal says that the time is over', async () => {
    const pool = makePool(1)
    pool.start(claimed('a', deadline))
    const error = new EngineError('execution_not_active', 'timed out')
    backend.refusals.set('renew a', error)
    await vi.advanceTimersByTimeAsync(500)
    expect(backend.calls).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(backend.calls).toEqual(['renew a'])
    expect(signalOf('a').reason).toMatchObject({ code: 'attempt_timed_out', cause: error })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('that the server does not yet see is asked about again, without haste', async () => {
    const pool = makePool(1)
    pool.start(claimed('a', deadline))
    await vi.advanceTimersByTimeAsync(501)
    expect(backend.calls).toEqual(['renew a'])
    await vi.advanceTimersByTimeAsync(49)
    expect(backend.calls).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(backend.calls).toHaveLength(2)
    await end('a')
    await vi.advanceTimersByTimeAsync(1000)
    expect(backend.calls).toEqual(['renew a', 'renew a', 'complete a'])
  })

  test('that cannot be asked about is asked about again, and fires nothing', async () => {
    const pool = makePool(1)
    pool.start(claimed('a', deadline))
    const timeout = new EngineError('connection_timeout', 'no answer')
    backend.refusals.set('renew a', timeout)
    await vi.advanceTimersByTimeAsync(501)
    backend.refusals.set('renew', timeout)
    await vi.advanceTimersByTimeAsync(50)
    expect(faults).toEqual([timeout, timeout])
    expect(signalOf('a').aborted).toBe(false)
    backend.refusals.delete('renew')
    backend.refusals.set('renew a', new EngineError('execution_not_active', 'timed out'))
    await vi.advanceTimersByTimeAsync(50)
    expect(signalOf('a').reason).toMatchObject({ code: 'attempt_timed_out' })
  })

  test.each([
    ['it has ended', (_pool: AttemptPool) => end('a')],
    ['it was handed back', (pool: AttemptPool) => pool.handBack()],
    ['its lease was lost', (pool: AttemptPool) => loseIt(pool)],
  ])('is nobody’s business any more when %s', async (_when, happen) => {
    const pool = makePool(1)
    pool.start(claimed('a', deadline))
    await happen(pool)
    expect(vi.getTimerCount()).toBe(0)
  })

  async function loseIt(pool: AttemptPool): Promise<void> {
    backend.refusals.set('renew a', new EngineError('lease_revoked', 'revoked'))
    await pool.renewAll()
  }
})

describe('a lease on its way back', () => {
  test('is no news to code that has ended', async () => {
    const pool = makePool(1)
    const answer = gate()
    backend.holds.set('complete a', answer.passed)
    pool.start(claimed('a'))
    await end('a')
    // Its own completion took the lease; only the answer is missing.
    backend.refusals.set('renew a', new EngineError('execution_not_active', 'completed'))
    pool.hear(undefined)
    await pool.renewAll()
    await vi.advanceTimersByTimeAsync(leaseMs)
    pool.loseLapsed()
    expect(signalOf('a').aborted).toBe(false)
    answer.open()
    await pool.idle()
    expect(backend.calls).toEqual(['complete a', 'renew a'])
  })

  test('is not handed back a second time, but waited for', async () => {
    const pool = makePool(1)
    const answer = gate()
    backend.holds.set('complete a', answer.passed)
    pool.start(claimed('a'))
    await end('a')
    let isOver = false
    const over = pool.handBack().then(() => {
      isOver = true
    })
    await vi.advanceTimersByTimeAsync(0)
    expect(isOver).toBe(false)
    answer.open()
    await over
    expect(backend.calls).toEqual(['complete a'])
    expect(signalOf('a').aborted).toBe(false)
  })
})

describe('handing back', () => {
  test('fires every signal, gives every lease back for now, and drops the outcomes', async () => {
    const pool = makePool(2)
    pool.start(claimed('a'))
    pool.start(claimed('b'))
    await pool.handBack()
    expect(backend.calls).toEqual(['delay a until 0', 'delay b until 0'])
    expect(signalOf('a').reason).toMatchObject({ code: 'engine_closed' })
    expect(signalOf('b').aborted).toBe(true)
    await end('a')
    await end('b')
    await pool.idle()
    expect(backend.calls).toHaveLength(2)
  })

  test('reports what cannot be given back, and gives the rest back', async () => {
    const pool = makePool(2)
    pool.start(claimed('a'))
    pool.start(claimed('b'))
    const error = new EngineError('connection_timeout', 'no answer')
    backend.refusals.set('delay a', error)
    await pool.handBack()
    expect(backend.calls).toHaveLength(2)
    expect(faults).toEqual([error])
  })
})

describe('a claim', () => {
  test('starts what it brings', async () => {
    const pool = makePool(2)
    await pool.take(Promise.resolve([claimed('a'), claimed('b')]), new AbortController().signal)
    expect([...running.keys()]).toEqual(['a', 'b'])
  })

  test('hands straight back what it brings when its signal has fired', async () => {
    const pool = makePool(2)
    const control = new AbortController()
    const answer = gate<readonly ClaimedExecution[]>()
    const taken = pool.take(answer.passed, control.signal)
    const idle = vi.fn()
    void pool.claimed().then(idle)
    control.abort()
    await vi.advanceTimersByTimeAsync(0)
    expect(idle).not.toHaveBeenCalled()
    answer.open([claimed('a'), claimed('b')])
    await taken
    await vi.advanceTimersByTimeAsync(0)
    expect(idle).toHaveBeenCalled()
    expect(running.size).toBe(0)
    expect(backend.calls).toEqual(['delay a until 0', 'delay b until 0'])
  })

  test('that fails fails whoever claimed, and is no longer waited for', async () => {
    const pool = makePool(2)
    const taken = pool.take(Promise.reject(new Error('no')), new AbortController().signal)
    await expect(taken).rejects.toThrow('no')
    await pool.claimed()
  })
})
