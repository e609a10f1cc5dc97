// What a worker takes and what it leaves: lanes, tasks, capabilities, places; on both backends.
import { describe, expect, test } from 'vitest'
import { type Task, task, type WorkOptions } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { gate, staged } from './staged.ts'

describe.each(kinds)('a worker on %s', (kind) => {
  const engines = useEngines(kind)
  const { open } = engines
  const named = (name: string, lane?: string) =>
    task({ name, ...(lane && { lane }), run: (_context, input: unknown) => [name, input] })

  test('works on several tasks in lanes of their own and in a common one', async () => {
    const engine = await open()
    const tasks = [named('a'), named('b'), named('c', 'common'), named('d', 'common')]
    await engine.work(tasks, { concurrency: 2 })
    const executions = await Promise.all(
      [...tasks, ...tasks].map((one, index) => engine.submit(one, index)),
    )
    expect(await Promise.all(executions.map((execution) => execution.result()))).toEqual(
      ['a', 'b', 'c', 'd', 'a', 'b', 'c', 'd'].map((name, index) => [name, index]),
    )
  })

  test('works on as many lanes as are allowed, and is refused more', async () => {
    const engine = await open()
    const tasks = Array.from({ length: 65 }, (_, index) => named(`task-${index}`))
    await refusal(engine.work(tasks), 'invalid_input', { argument: 'tasks' })
    await engine.work(tasks.slice(0, 64))
    for (const one of [tasks[0], tasks[31], tasks[63]] as Task<unknown, unknown>[]) {
      expect(await (await engine.submit(one, 1)).result()).toEqual([one.name, 1])
    }
  })

  test('works on what is submitted to another lane only if it claims that lane', async () => {
    const engine = await open()
    const home = named('home')
    await engine.work([home])
    const away = await engine.submit(home, 1, { lane: 'away' })
    const here = await engine.submit(home, 2)
    expect(await here.result()).toEqual(['home', 2])
    expect(await away.describe()).toMatchObject({ publicState: 'waiting', lane: 'away' })
    await engine.work([named('home', 'away')])
    expect(await away.result()).toEqual(['home', 1])
  })

  test('never does more at the same time than it may', async () => {
    const engine = await open()
    let running = 0
    let most = 0
    const { task: slow, begun, waiting } = staged()
    const counted = task({
      name: 'counted',
      lane: 'staged',
      run: async (context) => {
        running += 1
        most = Math.max(most, running)
        await slow.run(context, undefined as never)
        running -= 1
      },
    })
    await engine.work([counted], { concurrency: 3 })
    const executions = await Promise.all(
      Array.from({ length: 12 }, () => engine.submit(counted, undefined)),
    )
    for (const _ of executions) {
      const attempt = await begun()
      expect(waiting.length).toBeLessThanOrEqual(2)
      attempt.finish()
    }
    await Promise.all(executions.map((execution) => execution.result()))
    expect(most).toBe(3)
  })

  test('never does more than it may while leases are lost and work comes back', async () => {
    const engine = await open()
    const { task: slow, begun, waiting } = staged()
    await engine.work([slow], { concurrency: 1, lease: '600ms' })
    const execution = await engine.submit(slow, undefined)
    const first = await begun()
    await engine.backend.revokeLease(execution.id)
    await first.aborted
    // The code goes on although its lease is lost, so its place is not free.
    const other = task({ name: 'other', run: () => 'somewhere else' })
    await engine.work([other])
    await (await engine.submit(other, undefined, { delay: '50ms' })).result()
    expect(waiting).toEqual([])
    first.finish('late')
    const second = await begun()
    expect(second.context.attempt).toBe(1)
    second.finish('accepted')
    expect(await execution.result()).toBe('accepted')
  })

  test('leaves the event loop to the rest of the process, however busy it is', async () => {
    const engine = await open()
    let done = 0
    const tiny = task({
      name: 'tiny',
      run: () => {
        done += 1
      },
    })
    const items = Array.from({ length: 5000 }, () => ({ input: undefined }))
    const outcomes = await engine.submitMany(tiny, items)
    await engine.work([tiny], { concurrency: 50 })
    let turns = 0
    while (done < items.length) {
      await new Promise((resolve) => setImmediate(resolve))
      turns += 1
    }
    // One turn per five hundred executions: a server beside it answers within some 50 ms.
    expect(turns).toBeGreaterThan(items.length / 500)
    await Promise.all(outcomes.map((one) => one.outcome !== 'refused' && one.execution.result()))
  })

  test('is given only work whose every need it offers', async () => {
    const engine = await open()
    const where = (place: string) => task({ name: 'job', run: () => place })
    const plain = await engine.submit(where(''), undefined)
    const gpu = await engine.submit(where(''), undefined, { capabilities: ['gpu'] })
    const both = await engine.submit(where(''), undefined, { capabilities: ['eu', 'gpu'] })
    await engine.work([where('plain')])
    expect(await plain.result()).toBe('plain')
    await engine.work([where('gpu')], { capabilities: ['gpu', 'unused'] })
    expect(await gpu.result()).toBe('gpu')
    expect(await both.describe()).toMatchObject({ publicState: 'waiting' })
    await engine.work([where('both')], { capabilities: ['gpu', 'eu'] })
    expect(await both.result()).toBe('both')
  })

  test('hands back work that it has no code for, reports it, and another one does it', async () => {
    const engine = await open()
    const known = named('known', 'lane')
    const strange = named('strange', 'lane')
    const execution = await engine.submit(strange, 1)
    const told = gate<unknown>()
    const ignorant = await engine.work([known], { onError: told.open })
    expect(await told.passed).toMatchObject({
      message: 'lane lane holds work for the unknown task strange',
    })
    const other = await engine.submit(known, 2)
    expect(await other.result()).toEqual(['known', 2])
    await ignorant.stop()
    await engine.work([strange])
    expect(await execution.result()).toEqual(['strange', 1])
    expect(await execution.describe()).toMatchObject({ totalAttempts: 1, retries: 0 })
    // The engine's own listener hears what no worker's listener does.
    expect(engines.faults).toEqual([])
  })

  test('tells the engine’s listener when it has none of its own', async () => {
    const told = gate<unknown>()
    const engine = await open({ onError: told.open })
    await engine.work([named('known', 'lane')])
    await engine.submit(named('strange', 'lane'), 1)
    expect(await told.passed).toBeInstanceOf(Error)
  })

  test('shows its name on what it works on', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    const worker = await engine.work([slow], { name: 'host-7/a' })
    expect(worker.name).toBe('host-7/a')
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    expect((await execution.describe())?.currentLease).toMatchObject({
      worker: 'host-7/a',
      epoch: attempt.context.epoch,
    })
    attempt.finish()
    await execution.result()
  })

  test('makes up a name of its own that nobody else has', async () => {
    const engine = await open()
    const workers = await Promise.all([1, 2, 3].map(() => engine.work([named('a')])))
    expect(new Set(workers.map(({ name }) => name)).size).toBe(3)
    for (const { name } of workers) expect(name).toMatch(/^[^\s|,]{1,64}$/)
  })

  test('goes on with the work of a paused lane when it is resumed', async () => {
    const engine = await open()
    const job = named('job')
    await engine.work([job])
    await engine.backend.pauseLane('job')
    const execution = await engine.submit(job, 1)
    await refusal(execution.result({ timeout: 30 }), 'result_timeout')
    await engine.backend.resumeLane('job')
    expect(await execution.result()).toEqual(['job', 1])
  })

  test('works again on what is replayed', async () => {
    const engine = await open()
    const attempts = task({ name: 'attempts', run: ({ attempt }) => attempt })
    await engine.work([attempts])
    const execution = await engine.submit(attempts, undefined)
    expect(await execution.result()).toBe(0)
    await engine.backend.replayExecution(execution.id)
    expect(await execution.result()).toBe(1)
  })

  test.each<[string, readonly Task[], WorkOptions]>([
    ['tasks', [], {}],
    ['tasks', [named('a'), named('a')], {}],
    ['concurrency', [named('a')], { concurrency: 0 }],
    ['concurrency', [named('a')], { concurrency: 1.5 }],
    ['concurrency', [named('a')], { concurrency: Number.POSITIVE_INFINITY }],
    ['lease', [named('a')], { lease: '99ms' }],
    ['lease', [named('a')], { lease: '2h' }],
    ['lease', [named('a')], { lease: 'long' as '1h' }],
    ['name', [named('a')], { name: 'two words' }],
    ['name', [named('a')], { name: 'x'.repeat(65) }],
    ['capabilities', [named('a')], { capabilities: ['a b'] }],
    ['capabilities', [named('a')], { capabilities: [''] }],
  ])('is refused at once when its %s cannot be: %#', async (argument, tasks, options) => {
    const engine = await open()
    await refusal(engine.work(tasks, options), 'invalid_input', { argument })
  })
})

describe('a task', () => {
  test.each([
    [{ name: '' }],
    [{ name: 'two words' }],
    [{ name: 'a,b' }],
    [{ name: 'a|b' }],
    [{ name: 'a\u0000b' }],
    [{ name: 'é'.repeat(33) }],
    [{ name: undefined }],
    [{ name: 5 }],
    [{ name: 'a', lane: '' }],
    [{ name: 'a', lane: 'two words' }],
  ])('is refused a name or lane that is no word: %j', (options) => {
    expect(() => task({ ...(options as { name: string }), run: () => 1 })).toThrow(
      expect.objectContaining({ code: 'invalid_input' }),
    )
  })

  test('may be named by any word of up to 64 bytes', () => {
    for (const name of ['a', 'x'.repeat(64), 'é'.repeat(32), 'order/charge.v2', '任务']) {
      expect(task({ name, run: () => 1 })).toMatchObject({ name, lane: name })
    }
  })
})

describe('workers of several engines', () => {
  const { open } = useEngines('valkey')

  test('share the work, and each piece is done once', async () => {
    const namespace = freshNamespace()
    const all = await Promise.all([open({ namespace }), open({ namespace }), open({ namespace })])
    const done: number[] = []
    const note = task({
      name: 'note',
      run: (_context, input: number) => void done.push(input),
    })
    const inputs = Array.from({ length: 600 }, (_, index) => index)
    await Promise.all(all.map((engine) => engine.work([note], { concurrency: 20 })))
    const outcomes = await all[0].submitMany(
      note,
      inputs.map((input) => ({ input })),
    )
    await Promise.all(outcomes.map((one) => one.outcome !== 'refused' && one.execution.result()))
    expect(done.sort((a, b) => a - b)).toEqual(inputs)
  })

  test('are woken by work that another engine submits', async () => {
    const namespace = freshNamespace()
    const [one, other] = await Promise.all([open({ namespace }), open({ namespace })])
    const echo = task({ name: 'echo', run: (_context, input: number) => input })
    await one.work([echo])
    const startedAtMs = performance.now()
    for (const input of [1, 2, 3]) {
      expect(await (await other.submit(echo, input)).result()).toBe(input)
    }
    expect(performance.now() - startedAtMs).toBeLessThan(2000)
  })
})
