// Limits and fairness keys as an application uses them.
import { describe, expect, it } from 'vitest'
import { isEngineError } from '../../src/errors.ts'
import { openEngine, task } from '../../src/index.ts'

async function opened() {
  const engine = await openEngine()
  return { engine, [Symbol.asyncDispose]: () => engine.close() }
}

/** Runs only while it is let: each attempt waits for the test. */
function gated(settings: { limit?: string } = {}) {
  const waiting: (() => void)[] = []
  const started: string[] = []
  const heard: (() => void)[] = []
  const work = task({
    name: 'gated',
    ...settings,
    run: (_context, input: string) =>
      new Promise<string>((resolve) => {
        started.push(input)
        waiting.push(() => resolve(input))
        for (const hear of heard.splice(0)) hear()
      }),
  })
  const until = async (count: number) => {
    while (started.length < count) await new Promise<void>((resolve) => heard.push(resolve))
  }
  return { work, started, until, release: () => waiting.shift()?.() }
}

describe('engine.limits', () => {
  it('keeps a worker with room from more than the limit', async () => {
    await using all = await opened()
    const { engine } = all
    const { work, started, until, release } = gated({ limit: 'provider' })
    await engine.limits.set('provider', { concurrency: 2 })
    await engine.work([work], { concurrency: 10 })
    const executions = []
    for (const name of ['a', 'b', 'c', 'd']) executions.push(await engine.submit(work, name))
    await until(2)
    expect(await engine.limits.get('provider')).toMatchObject({ active: 2 })
    for (let count = 3; count <= 4; count++) {
      release()
      await until(count)
    }
    release()
    release()
    for (const execution of executions) await execution.result()
    expect(started).toEqual(['a', 'b', 'c', 'd'])
    expect(await engine.limits.get('provider')).toMatchObject({ active: 0, waiting: 0 })
  })

  it('lets keys take turns', async () => {
    await using all = await opened()
    const { engine } = all
    const { work, started, until, release } = gated()
    for (const name of ['a1', 'a2', 'a3', 'b1']) {
      await engine.submit(work, name, { fairnessKey: name.slice(0, 1) })
    }
    await engine.work([work], { concurrency: 1 })
    for (let count = 1; count <= 4; count++) {
      await until(count)
      release()
    }
    expect(started).toEqual(['a1', 'b1', 'a2', 'a3'])
  })

  it('pauses and resumes a limit, or a key of it', async () => {
    await using all = await opened()
    const { engine } = all
    await engine.limits.set('provider', { rate: { count: 5, window: '1m' }, perKey: true })
    await engine.limits.pause('provider', { key: 'a', for: '1h' })
    const paused = await engine.limits.get('provider', { key: 'a' })
    expect(paused).toMatchObject({ key: 'a', rate: { count: 5, windowMs: 60_000 }, perKey: true })
    expect(paused?.pausedUntilMs).toBeGreaterThan(Date.now())
    expect(await engine.limits.get('provider')).toMatchObject({ pausedUntilMs: undefined })
    await engine.limits.resume('provider', { key: 'a' })
    expect(await engine.limits.get('provider', { key: 'a' })).toMatchObject({
      pausedUntilMs: undefined,
    })
    const untilMs = Date.now() + 60_000
    await engine.limits.pause('provider', { until: new Date(untilMs) })
    expect(await engine.limits.get('provider')).toMatchObject({ pausedUntilMs: untilMs })
  })

  it('refuses a pause without a time, and one of nothing', async () => {
    await using all = await opened()
    const { limits } = all.engine
    const codeOf = (call: Promise<unknown>) =>
      call.then(
        () => 'accepted',
        (error: unknown) => (isEngineError(error) ? error.code : error),
      )
    expect(await codeOf(limits.pause('provider', {}))).toBe('invalid_input')
    expect(await codeOf(limits.pause('provider', { until: new Date('never') }))).toBe(
      'invalid_input',
    )
    expect(await codeOf(limits.pause('provider', { for: '1s' }))).toBe('limit_not_found')
    expect(
      await codeOf(limits.set('provider', { rate: { count: 1, window: 'soon' as '1s' } })),
    ).toBe('invalid_input')
  })

  it('lists and removes limits', async () => {
    await using all = await opened()
    const { limits } = all.engine
    for (let number = 100; number < 250; number++) await limits.set(`limit-${number}`, {})
    const names = []
    for await (const { name } of limits.list()) names.push(name)
    expect(names).toHaveLength(150)
    expect(names).toEqual([...names].sort())
    expect(await limits.remove('limit-100')).toBe(true)
    expect(await limits.remove('limit-100')).toBe(false)
    expect(await limits.get('limit-100')).toBeUndefined()
  })
})
