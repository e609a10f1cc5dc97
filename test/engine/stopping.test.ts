// Stopping workers and engines: what runs may finish, what does not is handed back; both backends.
import { describe, expect, test } from 'vitest'
import { type Engine, type EngineError, task, type Worker } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { gate, staged } from './staged.ts'

/** Whether a promise has settled, once everything that is due by now is done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = () => {
    settled = true
  }
  promise.then(settle, settle)
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

describe.each(kinds)('stopping a worker on %s', (kind) => {
  const { open, faults } = useEngines(kind)

  async function working(): Promise<
    ReturnType<typeof staged> & { engine: Engine; worker: Worker }
  > {
    const engine = await open()
    const stage = staged()
    const worker = await engine.work([stage.task], { concurrency: 2 })
    return { ...stage, engine, worker }
  }

  test('that does nothing is done at once', async () => {
    const { worker } = await working()
    const startedAtMs = performance.now()
    await worker.stop()
    expect(performance.now() - startedAtMs).toBeLessThan(1000)
  })

  test('lets running attempts finish and claims nothing more', async () => {
    const { engine, worker, task: slow, begun, waiting } = await working()
    const executions = await Promise.all([1, 2, 3].map((input) => engine.submit(slow, input)))
    const running = [await begun(), await begun()]
    const stopping = worker.stop()
    expect(await isSettled(stopping)).toBe(false)
    running[0]?.finish('first')
    expect(await executions[0]?.result()).toBe('first')
    expect(await isSettled(stopping)).toBe(false)
    running[1]?.finish('second')
    await stopping
    expect(await executions[1]?.result()).toBe('second')
    expect(running.map(({ context }) => context.signal.aborted)).toEqual([false, false])
    expect(waiting).toEqual([])
    expect(await executions[2]?.describe()).toMatchObject({ publicState: 'waiting' })
  })

  test('renews the leases of what it lets finish', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    const worker = await engine.work([slow], { lease: '900ms' })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    const stopping = worker.stop()
    const other = task({ name: 'other', run: () => 1 })
    await engine.work([other])
    await (await engine.submit(other, undefined, { delay: '1200ms' })).result()
    attempt.finish('done')
    await stopping
    expect(await execution.result()).toBe('done')
    expect(await execution.describe()).toMatchObject({ totalAttempts: 1, reclaims: 0 })
  })

  test('hands back what does not finish in time: another one goes on at once', async () => {
    const { engine, worker, task: slow, begun } = await working()
    const execution = await engine.submit(slow, 'input')
    const attempt = await begun()
    const stopping = worker.stop({ grace: '50ms' })
    const reason = (await attempt.aborted) as EngineError
    expect(reason).toMatchObject({ code: 'engine_closed' })
    await stopping
    expect(await execution.describe()).toMatchObject({ publicState: 'waiting', totalAttempts: 1 })

    const startedAtMs = performance.now()
    await engine.work([slow])
    const next = await begun()
    expect(performance.now() - startedAtMs).toBeLessThan(2000)
    expect(next.context.attempt).toBe(attempt.context.attempt)
    expect(next.context.epoch).toBeGreaterThan(attempt.context.epoch)
    expect(next.input).toBe('input')
    attempt.finish('too late')
    next.finish('in time')
    expect(await execution.result()).toBe('in time')
    expect(await execution.describe()).toMatchObject({ totalAttempts: 1, reclaims: 0, retries: 0 })
  })

  test('without grace fires every signal and hands everything back', async () => {
    const { engine, worker, task: slow, begun } = await working()
    const executions = await Promise.all([1, 2].map((input) => engine.submit(slow, input)))
    const running = [await begun(), await begun()]
    await worker.stop({ grace: 0 })
    await Promise.all(running.map(({ aborted }) => aborted))
    for (const execution of executions) {
      expect(await execution.describe()).toMatchObject({ state: 'runnable.resumed' })
    }
    for (const { fail } of running) fail(new Error('aborted'))
    expect(faults).toEqual([])
  })

  test('twice, or at the same time, is done when the first is', async () => {
    const { engine, worker, task: slow, begun } = await working()
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    const stopping = [worker.stop(), worker.stop()]
    attempt.finish('done')
    await Promise.all(stopping)
    expect(await execution.result()).toBe('done')
    await worker.stop()
    await worker.stop({ grace: 0 })
  })

  test('again can shorten the grace, and not lengthen it', async () => {
    const { engine, worker, task: slow, begun } = await working()
    await engine.submit(slow, undefined)
    const attempt = await begun()
    const patient = worker.stop({ grace: '10m' })
    expect(await isSettled(patient)).toBe(false)
    const short = worker.stop({ grace: '20ms' })
    const longer = worker.stop({ grace: '10m' })
    await attempt.aborted
    await Promise.all([patient, short, longer])
  })

  test('may have more grace than a timer of Node can hold', async () => {
    const { engine, worker, task: slow, begun } = await working()
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    const stopping = worker.stop({ grace: '60d' })
    expect(await isSettled(stopping)).toBe(false)
    expect(attempt.context.signal.aborted).toBe(false)
    attempt.finish('done')
    await stopping
    expect(await execution.result()).toBe('done')
  })

  test('is refused a grace that is none, and works on', async () => {
    const { engine, worker, task: slow, begun } = await working()
    await refusal(worker.stop({ grace: 'a while' as '1s' }), 'invalid_input', {
      argument: 'grace',
    })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    attempt.finish(1)
    expect(await execution.result()).toBe(1)
  })

  test('hands back what a claim brings that was under way', async () => {
    const engine = await open()
    const { task: slow, waiting } = staged()
    const execution = await engine.submit(slow, undefined)
    const claimed = gate()
    const answered = gate()
    const { claim } = engine.backend
    engine.backend.claim = async (...args) => {
      const found = await claim.apply(engine.backend, args)
      if (found.length > 0) claimed.open()
      await answered.passed
      return found
    }
    const worker = await engine.work([slow])
    await claimed.passed
    const stopping = worker.stop()
    expect(await isSettled(stopping)).toBe(false)
    answered.open()
    await stopping
    expect(waiting).toEqual([])
    expect(await execution.describe()).toMatchObject({ state: 'runnable.resumed' })
  })

  test('does not stop the others', async () => {
    const engine = await open()
    const echo = task({ name: 'echo', run: (_context, input: number) => input })
    const [first] = await Promise.all([engine.work([echo]), engine.work([echo])])
    await first.stop()
    expect(await (await engine.submit(echo, 7)).result()).toBe(7)
  })
})

describe.each(kinds)('closing an engine on %s', (kind) => {
  const { open, faults } = useEngines(kind)

  test('lets all its workers finish first', async () => {
    const engine = await open()
    const [a, b] = [staged({ name: 'a' }), staged({ name: 'b' })]
    await engine.work([a.task])
    await engine.work([b.task])
    const executions = [await engine.submit(a.task, 1), await engine.submit(b.task, 2)]
    const running = [await a.begun(), await b.begun()]
    const results = executions.map((execution) => execution.result())
    const closing = engine.close()
    expect(await isSettled(closing)).toBe(false)
    for (const { finish } of running) finish('done')
    await closing
    const outcomes = await Promise.allSettled(results)
    // Whoever waited is told the result, or that the engine was closed; nobody waits for ever.
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') expect(outcome.value).toBe('done')
      else expect(outcome.reason).toMatchObject({ code: 'engine_closed' })
    }
  })

  test('starts no worker that nobody would stop', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow])
    await engine.submit(slow, undefined)
    const { finish } = await begun()
    const closing = engine.close()
    await refusal(engine.work([slow]), 'engine_closed')
    finish('done')
    await closing
  })

  test('fires the signals of what does not finish in time, and ends all waits', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow])
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    const waiting = refusal(execution.result(), 'engine_closed')
    await engine.close({ grace: '30ms' })
    await attempt.aborted
    await waiting
    await refusal(attempt.context.progress(50), 'engine_closed')
    attempt.finish('nobody hears')
    expect(faults).toEqual([])
  })
})

describe('code that closes its own engine', () => {
  const { open } = useEngines('embedded')

  test('does not wait for itself longer than the grace', async () => {
    const engine = await open()
    const closed = gate()
    const last = task({
      name: 'last',
      run: async () => {
        await engine.close({ grace: '50ms' })
        closed.open()
      },
    })
    await engine.work([last])
    const execution = await engine.submit(last, undefined)
    await refusal(execution.result(), 'engine_closed')
    await closed.passed
  })
})

describe('work that was handed back', () => {
  const { open } = useEngines('valkey')

  test('is continued at once by a worker of another engine that was waiting', async () => {
    const namespace = freshNamespace()
    const [one, other] = await Promise.all([open({ namespace }), open({ namespace })])
    const [here, there] = [staged(), staged()]
    await one.work([here.task])
    const execution = await one.submit(here.task, undefined)
    const first = await here.begun()
    await other.work([there.task])
    const startedAtMs = performance.now()
    await one.close({ grace: 0 })
    const second = await there.begun()
    expect(performance.now() - startedAtMs).toBeLessThan(2000)
    expect(second.context.attempt).toBe(first.context.attempt)
    second.finish('done')
    expect(await other.execution(execution.id).result()).toBe('done')
  })
})
