// Cancelling executions, and looking at what they do meanwhile, on both kinds of backend.
import { describe, expect, test } from 'vitest'
import { type EngineError, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'
import { staged } from './staged.ts'

describe.each(kinds)('cancelling on %s', (kind) => {
  const { open } = useEngines(kind)
  const nothing = task({ name: 'nothing', run: () => 'done' })

  test('ends work that waits', async () => {
    const engine = await open()
    const execution = await engine.submit(nothing, undefined)
    const waiting = refusal(execution.result(), 'execution_cancelled', { message: 'not needed' })
    await execution.cancel('not needed')
    const error = await waiting
    expect(error.message).toContain('cancelled: not needed')
    expect(await execution.describe()).toMatchObject({ publicState: 'cancelled' })
    await engine.work([nothing])
    const other = await engine.submit(nothing, undefined)
    expect(await other.result()).toBe('done')
    await refusal(execution.result(), 'execution_cancelled')
  })

  test('ends work that is delayed, and says why by itself', async () => {
    const engine = await open()
    const execution = await engine.submit(nothing, undefined, { delay: '1h' })
    await execution.cancel()
    await refusal(execution.result(), 'execution_cancelled', {
      message: 'cancelled by the application',
    })
  })

  test('ends work that is being done, and its signal says who and why', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    const worker = await engine.work([slow], { lease: '1h' })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    await execution.cancel('stop it')
    await refusal(execution.result(), 'execution_cancelled', { message: 'stop it' })
    const reason = (await attempt.aborted) as EngineError
    expect(reason).toMatchObject({
      code: 'execution_cancelled',
      details: { executionId: execution.id, reason: 'cancelled_by_operator', message: 'stop it' },
    })
    expect(reason.message).toContain('an operator cancelled it: stop it')
    await refusal(attempt.context.progress(50), 'execution_not_active')
    attempt.finish('all the same')
    await worker.stop()
    await refusal(execution.result(), 'execution_cancelled')
  })

  test('frees the place of work that stops when its signal fires', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '1h' })
    const first = await engine.submit(slow, undefined)
    const second = await engine.submit(slow, undefined)
    const attempt = await begun()
    await first.cancel()
    attempt.fail(await attempt.aborted)
    const next = await begun()
    next.finish('next')
    expect(await second.result()).toBe('next')
  })

  test('twice is answered alike; after another end it is refused', async () => {
    const engine = await open()
    const cancelled = await engine.submit(nothing, undefined)
    await cancelled.cancel('one')
    await cancelled.cancel('two')
    await refusal(cancelled.result(), 'execution_cancelled', { message: 'one' })
    await engine.work([nothing])
    const done = await engine.submit(nothing, undefined)
    await done.result()
    await refusal(done.cancel(), 'execution_not_active')
    expect(await done.result()).toBe('done')
  })

  test('is refused for what there is not, and for a reason that is too long', async () => {
    const engine = await open()
    const execution = await engine.submit(nothing, undefined)
    await refusal(execution.cancel('x'.repeat(2049)), 'invalid_input', { argument: 'reason' })
    await execution.cancel('x'.repeat(2048))
    await engine.backend.purgeExecution(execution.id)
    await refusal(execution.cancel(), 'execution_not_found')
  })
})

describe.each(kinds)('progress on %s', (kind) => {
  const { open } = useEngines(kind)

  test('is seen by whoever describes the execution, the newest only', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow])
    const execution = await engine.submit(slow, undefined)
    const { context, finish } = await begun()
    const progress = async () => (await execution.describe())?.progress
    expect(await progress()).toEqual({ percent: undefined, message: undefined })
    await context.progress(10, 'reading')
    expect(await progress()).toEqual({ percent: 10, message: 'reading' })
    await context.progress(20)
    expect(await progress()).toEqual({ percent: 20, message: 'reading' })
    await Promise.all([context.progress(30, 'a'), context.progress(40, 'b')])
    expect(await progress()).toEqual({ percent: 40, message: 'b' })
    await context.progress(0, '')
    expect(await progress()).toMatchObject({ percent: 0 })
    finish()
    await execution.result()
  })

  test('may be any part of the whole, and is counted in whole percents', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow])
    const execution = await engine.submit(slow, undefined)
    const { context, finish } = await begun()
    await context.progress(100 / 3)
    expect((await execution.describe())?.progress.percent).toBe(33)
    await context.progress(99.99)
    expect((await execution.describe())?.progress.percent).toBe(99)
    finish()
    await execution.result()
  })

  test.each([[-1], [101], [Number.NaN], ['half' as unknown as number]])(
    'of %s is refused, and the attempt can go on',
    async (percent) => {
      const engine = await open()
      const { task: slow, begun } = staged()
      await engine.work([slow])
      const execution = await engine.submit(slow, undefined)
      const { context, finish } = await begun()
      await refusal(context.progress(percent), 'invalid_input', { argument: 'percent' })
      finish('done')
      expect(await execution.result()).toBe('done')
    },
  )

  test('can no longer be told once the attempt has ended', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow])
    const execution = await engine.submit(slow, undefined)
    const { context, finish } = await begun()
    finish()
    await execution.result()
    await refusal(context.progress(100), 'execution_not_active')
  })
})
