// What a submission can ask for: once only, later, first, among many; on both kinds of backend.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Execution, type SubmitOptions, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { staged } from './staged.ts'

describe.each(kinds)('a submission on %s', (kind) => {
  const { open } = useEngines(kind)
  const echo = task({ name: 'echo', run: (_context, input: unknown) => input })

  test('under a key that is known is the same execution, before and after its end', async () => {
    const engine = await open()
    const first = await engine.submit(echo, { a: 1 }, { idempotencyKey: 'key' })
    const second = await engine.submit(echo, { a: 1 }, { idempotencyKey: 'key' })
    expect([first.duplicate, second.duplicate]).toEqual([false, true])
    expect(second.id).toBe(first.id)
    await engine.work([echo])
    await first.result()
    const third = await engine.submit(echo, { a: 1 }, { idempotencyKey: 'key' })
    expect(third).toMatchObject({ id: first.id, duplicate: true })
    expect(await third.result()).toEqual({ a: 1 })
  })

  test('many times at once under one key is one execution', async () => {
    const engine = await open()
    const submissions = await Promise.all(
      Array.from({ length: 50 }, () => engine.submit(echo, 1, { idempotencyKey: 'key' })),
    )
    expect(new Set(submissions.map(({ id }) => id)).size).toBe(1)
    expect(submissions.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
  })

  test.each<[string, unknown, SubmitOptions]>([
    ['input', 2, {}],
    ['priority', 1, { priority: 1 }],
    ['delay', 1, { delay: '1h' }],
    ['lane', 1, { lane: 'other' }],
    ['retry policy', 1, { retry: { attempts: 2 } }],
    ['tag', 1, { tags: { a: 'b' } }],
  ])('under a known key with another %s is refused', async (_what, input, options) => {
    const engine = await open()
    await engine.submit(echo, 1, { idempotencyKey: 'key' })
    await refusal(
      engine.submit(echo, input, { idempotencyKey: 'key', ...options }),
      'idempotency_mismatch',
    )
  })

  test('is not started before its delay is over', async () => {
    const engine = await open()
    const { task: held, begun } = staged()
    await engine.work([held])
    const submittedAtMs = Date.now()
    const execution = await engine.submit(held, undefined, { delay: '80ms' })
    expect(await execution.describe()).toMatchObject({ publicState: 'delayed' })
    const attempt = await begun()
    expect(Date.now() - submittedAtMs).toBeGreaterThanOrEqual(80)
    attempt.finish()
    await execution.result()
  })

  test('is not started before its start time, and at once when that has passed', async () => {
    const engine = await open()
    const startedAtMs = task({ name: 'clock', run: () => Date.now() })
    await engine.work([startedAtMs])
    const startAt = new Date(Date.now() + 80)
    const later = await engine.submit(startedAtMs, undefined, { startAt })
    expect((await later.describe())?.startsAtMs).toBe(startAt.getTime())
    const past = await engine.submit(startedAtMs, undefined, { startAt: new Date(0) })
    expect(await past.result()).toBeLessThanOrEqual(await later.result())
    expect(await later.result()).toBeGreaterThanOrEqual(startAt.getTime())
  })

  test('of higher priority goes first, then the older one', async () => {
    const engine = await open()
    const order: unknown[] = []
    const note = task({
      name: 'note',
      priority: 5,
      run: (_context, name: string) => void order.push(name),
    })
    const wanted: [string, SubmitOptions][] = [
      ['of the task', {}],
      ['low', { priority: 0 }],
      ['high', { priority: 9000 }],
      ['of the task, younger', {}],
      ['high, younger', { priority: 9000 }],
      ['a little higher', { priority: 6 }],
    ]
    const executions: Execution<void>[] = []
    for (const [name, options] of wanted) executions.push(await engine.submit(note, name, options))
    await engine.work([note])
    await Promise.all(executions.map((execution) => execution.result()))
    expect(order).toEqual([
      'high',
      'high, younger',
      'a little higher',
      'of the task',
      'of the task, younger',
      'low',
    ])
  })

  test('can be told apart and looked at by what it said', async () => {
    const engine = await open()
    const described = task({ name: 'described', lane: 'lane', run: () => 1 })
    const execution = await engine.submit(described, undefined, {
      priority: 3,
      tags: { customer: 'ada', 'order.id': '17' },
      capabilities: ['gpu', 'eu'],
      deadline: '1h',
    })
    expect(await execution.describe()).toMatchObject({
      executionId: execution.id,
      task: 'described',
      lane: 'lane',
      publicState: 'waiting',
      priority: 3,
      tags: { customer: 'ada', 'order.id': '17' },
      capabilities: ['eu', 'gpu'],
      totalAttempts: 0,
      currentLease: undefined,
    })
  })

  test('into a lane that is draining is refused', async () => {
    const engine = await open()
    await engine.submit(echo, 1)
    await engine.backend.drainLane('echo')
    await refusal(engine.submit(echo, 1), 'lane_closed')
    await engine.backend.resumeLane('echo')
    await engine.submit(echo, 1)
  })

  test.each<[string, SubmitOptions]>([
    ['priority', { priority: 9001 }],
    ['priority', { priority: 0.5 }],
    ['delay', { delay: 'soon' as '1s' }],
    ['delay', { delay: -1 }],
    ['startAtMs', { startAt: new Date('no date') }],
    ['deadline', { deadline: '1 hour' as '1h' }],
    ['attemptTimeout', { attemptTimeout: Number.NaN }],
    ['attemptTimeoutMs', { attemptTimeout: '31d' }],
    ['retention', { retention: 'always' as 'forever' }],
    ['retry', { retry: { attempts: 0 } }],
    ['retry', { retry: { attempts: 2, multiplier: 0.5 } }],
    ['retry.delay', { retry: { attempts: 2, delay: 'x' as '1s' } }],
    ['tags', { tags: { 'a name': 'x' } }],
    ['lane', { lane: 'two words' }],
    ['idempotencyKey', { idempotencyKey: '' }],
    ['idempotencyKey', { idempotencyKey: 'x'.repeat(257) }],
  ])('with a wrong %s is refused by that name: %j', async (argument, options) => {
    const engine = await open()
    await refusal(engine.submit(echo, 1, options), 'invalid_input', { argument })
    expect((await engine.backend.listExecutions(0, undefined, 1)).items).toEqual([])
  })

  test('with a capability that is no word is refused', async () => {
    const engine = await open()
    await refusal(engine.submit(echo, 1, { capabilities: ['a b'] }), 'invalid_capabilities')
  })
})

describe.each(kinds)('many submissions at once on %s', (kind) => {
  const { open } = useEngines(kind)
  const square = task({
    name: 'square',
    input: z.number(),
    run: (_context, input) => input * input,
  })

  test('have each their own outcome, in order', async () => {
    const engine = await open()
    await engine.submit(square, 3, { idempotencyKey: 'three' })
    await engine.submit(square, 4, { idempotencyKey: 'four' })
    const outcomes = await engine.submitMany(square, [
      { input: 1 },
      { input: 'no number' as unknown as number },
      { input: 2, options: { priority: 9001 } },
      { input: 3, options: { idempotencyKey: 'three' } },
      { input: 5, options: { idempotencyKey: 'four' } },
      { input: 5n as unknown as number },
      { input: 6, options: { delay: 'x' as '1s' } },
      { input: 7 },
    ])
    const told = outcomes.map((one) => (one.outcome === 'refused' ? one.error.code : one.outcome))
    expect(told).toEqual([
      'submitted',
      'invalid_input',
      'invalid_input',
      'duplicate',
      'idempotency_mismatch',
      'invalid_input',
      'invalid_input',
      'submitted',
    ])
    await engine.work([square], { concurrency: 4 })
    const results = outcomes.flatMap((one) =>
      one.outcome === 'refused' ? [] : [one.execution.result()],
    )
    expect(await Promise.all(results)).toEqual([1, 9, 49])
  })

  test('are not touched by one on which the schema itself breaks', async () => {
    const engine = await open()
    const brittle = task({
      name: 'brittle',
      input: z.number().refine((input) => {
        if (input === 2) throw new Error('the schema broke')
        return true
      }),
      run: () => 1,
    })
    const outcomes = await engine.submitMany(brittle, [{ input: 1 }, { input: 2 }, { input: 3 }])
    expect(outcomes).toMatchObject([
      { outcome: 'submitted' },
      { outcome: 'refused', error: { code: 'invalid_input' } },
      { outcome: 'submitted' },
    ])
  })

  test('may be none, or thousands', async () => {
    const engine = await open()
    expect(await engine.submitMany(square, [])).toEqual([])
    const items = Array.from({ length: 2000 }, (_, input) => ({ input }))
    const outcomes = await engine.submitMany(square, items)
    await engine.work([square], { concurrency: 100 })
    const results = await Promise.all(
      outcomes.map((one) => (one.outcome === 'refused' ? undefined : one.execution.result())),
    )
    expect(results).toEqual(items.map(({ input }) => input * input))
  })
})

describe('a key on a server', () => {
  const { open } = useEngines('valkey')
  const echo = task({ name: 'echo', run: (_context, input: unknown) => input })

  test('is one in all engines, and another one in another namespace', async () => {
    const namespace = freshNamespace()
    const [one, other, stranger] = await Promise.all([
      open({ namespace }),
      open({ namespace }),
      open(),
    ])
    const options = { idempotencyKey: 'key' }
    const executions = await Promise.all([
      one.submit(echo, 1, options),
      other.submit(echo, 1, options),
    ])
    expect(executions[0].id).toBe(executions[1].id)
    expect(await stranger.submit(echo, 2, options)).toMatchObject({ duplicate: false })
  })
})
