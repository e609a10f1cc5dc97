// Work that takes too long: deadlines of executions and timeouts of attempts, on both backends.
import { describe, expect, test } from 'vitest'
import { type EngineError, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'
import { staged } from './staged.ts'

describe.each(kinds)('a deadline on %s', (kind) => {
  const { open } = useEngines(kind)

  test('ends an execution that nobody works on', async () => {
    const engine = await open()
    const { task: idle } = staged()
    const execution = await engine.submit(idle, undefined, { deadline: '60ms' })
    const error = await refusal(execution.result(), 'execution_expired', { reason: 'deadline' })
    expect(error.message).toContain('expired: deadline')
    expect(await execution.describe()).toMatchObject({ publicState: 'expired', totalAttempts: 0 })
  })

  test('that leaves no time for another attempt makes a failure the last one', async () => {
    const engine = await open()
    const retry = { attempts: 2, delay: '1h' } as const
    const failing = task({ name: 'failing', retry, run: () => Promise.reject(new Error('no')) })
    await engine.work([failing])
    const execution = await engine.submit(failing, undefined, { deadline: '1m' })
    await refusal(execution.result(), 'execution_failed', { message: 'no' })
    expect(await execution.describe()).toMatchObject({ totalAttempts: 1 })
  })

  test('that leaves no time to run is refused', async () => {
    const engine = await open()
    const { task: idle } = staged()
    const options = { deadline: '60ms', delay: '1h' } as const
    await refusal(engine.submit(idle, undefined, options), 'invalid_input', {
      argument: 'deadline',
    })
  })

  test('ends an execution that is worked on, and its signal fires', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '1h' })
    const execution = await engine.submit(slow, undefined, { deadline: '60ms' })
    const attempt = await begun()
    await refusal(execution.result(), 'execution_expired', { reason: 'deadline' })
    const reason = (await attempt.aborted) as EngineError
    expect(reason).toMatchObject({ code: 'execution_expired', details: { reason: 'deadline' } })
    attempt.finish('too late')
    await refusal(execution.result(), 'execution_expired')
  })

  test('that is kept changes nothing', async () => {
    const engine = await open()
    const quick = task({ name: 'quick', deadline: '1m', run: () => 'in time' })
    await engine.work([quick])
    const execution = await engine.submit(quick, undefined)
    expect(await execution.result()).toBe('in time')
  })
})

describe.each(kinds)('an attempt timeout on %s', (kind) => {
  const { open, faults } = useEngines(kind)

  test('ends the execution, and the signal fires at once and not at a renewal', async () => {
    const engine = await open()
    const { task: slow, begun } = staged({ attemptTimeout: '60ms' })
    // Renewals are ten seconds apart.
    await engine.work([slow], { lease: '30s' })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    expect(await attempt.aborted).toMatchObject({ code: 'attempt_timed_out' })
    attempt.finish('too late')
    await refusal(execution.result(), 'execution_expired', { reason: 'attempt_timeout' })
  })

  test('leads to another attempt when the policy names it', async () => {
    const engine = await open()
    const { task: slow, begun } = staged({
      attemptTimeout: '60ms',
      retry: { attempts: 2, delay: 1, on: ['timeout'] },
    })
    await engine.work([slow], { concurrency: 2 })
    const execution = await engine.submit(slow, undefined)
    const first = await begun()
    const second = await begun()
    expect(await first.aborted).toMatchObject({ code: 'attempt_timed_out' })
    expect([first.context.attempt, second.context.attempt]).toEqual([0, 1])
    expect(second.context.epoch).toBeGreaterThan(first.context.epoch)
    first.finish('late')
    second.finish('in time')
    expect(await execution.result()).toBe('in time')
    expect((await execution.describe())?.endedAttempts).toMatchObject([{ how: 'timeout' }])
  })

  test('is told again and again only as often as there are attempts', async () => {
    const engine = await open()
    const { task: slow } = staged({
      attemptTimeout: '30ms',
      retry: { attempts: 3, delay: 1, on: ['timeout'] },
    })
    await engine.work([slow], { concurrency: 3 })
    const execution = await engine.submit(slow, undefined)
    await refusal(execution.result(), 'execution_expired', { reason: 'attempt_timeout' })
    expect(await execution.describe()).toMatchObject({ totalAttempts: 3 })
  })

  test('may be longer than a timer of Node can hold', async () => {
    const engine = await open()
    const { task: slow, begun } = staged({ attemptTimeout: '30d' })
    const quick = task({ name: 'quick', run: () => 1 })
    await engine.work([quick])
    // By now it hears of lost leases: what runs when it begins to is renewed once.
    await (await engine.submit(quick, undefined)).result()
    const renewals: unknown[] = []
    const { renewMany } = engine.backend
    engine.backend.renewMany = (handles) => {
      renewals.push(handles)
      return renewMany.call(engine.backend, handles)
    }
    await engine.work([slow])
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    // Timers that are due by now fire before a timer that is set now.
    await (await engine.submit(quick, undefined, { delay: '30ms' })).result()
    attempt.finish('done')
    expect(await execution.result()).toBe('done')
    expect(renewals).toEqual([])
    expect(faults).toEqual([])
  })

  test('holds for each attempt anew', async () => {
    const engine = await open()
    const { task: slow, begun } = staged({
      attemptTimeout: '1m',
      retry: { attempts: 2, delay: 1 },
    })
    await engine.work([slow])
    const execution = await engine.submit(slow, undefined)
    const first = await begun()
    first.fail(new Error('again'))
    const second = await begun()
    second.finish('done')
    expect(await execution.result()).toBe('done')
    expect(second.context.signal.aborted).toBe(false)
  })
})
