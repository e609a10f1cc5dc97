// Children: work that a task adds while it runs, waits for, and finds again when it runs again.
import { describe, expect, test } from 'vitest'
import { type ChildOutcome, type ExecutionId, isEngineError, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'
import { gate, staged } from './staged.ts'

const double = task({ name: 'double', run: (_context, n: number) => n * 2 })
const broken = task({
  name: 'broken',
  run: (): string => {
    throw new Error('no luck')
  },
})

const told = (outcomes: readonly ChildOutcome[]) =>
  outcomes.map((one) => [one.name, one.outcome === 'completed' ? one.result : one.outcome])

describe.each(kinds)('children on %s', (kind) => {
  const { open, faults } = useEngines(kind)

  test('are waited for without a worker, and told of in their order', async () => {
    const engine = await open()
    let runs = 0
    const sum = task({
      name: 'sum',
      async run(context, numbers: readonly number[]) {
        runs += 1
        for (const number of numbers) await context.spawn(double, number, { lane: 'sum' })
        const outcomes = await context.waitChildren<number>()
        const results = outcomes.map((one) => (one.outcome === 'completed' ? one.result : 0))
        return { results, attempt: context.attempt }
      },
    })
    await engine.work([sum, double], { concurrency: 1 })
    const execution = await engine.submit(sum, [1, 2, 3])
    expect(await execution.result()).toEqual({ results: [2, 4, 6], attempt: 0 })
    expect(runs).toBe(2)
    const run = await execution.flow()
    expect(await run?.result()).toMatchObject({
      kind: 'sum',
      state: 'completed',
      completion: 'root',
      root: execution.id,
      members: 4,
      counts: { completed: 4 },
    })
  })

  test('that fail do not end their parent, which goes on with what they came to', async () => {
    const engine = await open()
    const parent = task({
      name: 'parent',
      async run(context, impossible: 'resume' | 'fail') {
        await context.spawn(double, 1, { name: 'good' })
        await context.spawn(broken, undefined, { name: 'bad' })
        return told(await context.waitChildren({ impossible }))
      },
    })
    await engine.work([parent, double, broken])
    const lenient = await engine.submit(parent, 'resume')
    expect(await lenient.result()).toEqual([
      ['good', 2],
      ['bad', 'failed'],
    ])
    expect(await (await lenient.flow())?.result()).toMatchObject({ state: 'completed' })
    const strict = await engine.submit(parent, 'fail')
    const failed = await strict.result().catch((error) => error)
    expect(isEngineError(failed, 'execution_failed') && failed.details).toMatchObject({
      reason: 'dependency_failed',
    })
    expect(await (await strict.flow())?.result()).toMatchObject({ state: 'failed' })
  })

  test('that are refused make no flow of their own', async () => {
    const engine = await open()
    const parent = task({
      name: 'parent',
      run: async (context) => {
        const spawning = context.spawn(double, 1, { delay: '2s', deadline: '1s' })
        const refused = await spawning.catch((error) => error.code)
        return { refused, waited: await context.waitChildren() }
      },
    })
    await engine.work([parent])
    const execution = await engine.submit(parent, undefined)
    expect(await execution.result()).toEqual({ refused: 'invalid_input', waited: [] })
    expect(await execution.flow()).toBeUndefined()
    for (const partition of engine.backend.partitions) {
      expect((await engine.backend.listFlows(partition, undefined, 10)).items).toEqual([])
    }
  })

  test('are found again, and not added again, when their parent is tried again', async () => {
    const engine = await open()
    const spawned: (readonly ExecutionId[])[] = []
    const failing = task({
      name: 'failing',
      retry: { attempts: 3, delay: 1 },
      async run(context) {
        const children = await Promise.all([1, 2].map((n) => context.spawn(double, n)))
        spawned.push(children.map(({ executionId }) => executionId))
        if (context.attempt === 0) throw new Error('before the wait')
        const outcomes = told(await context.waitChildren())
        if (context.attempt === 1) throw new Error('after the wait')
        return outcomes
      },
    })
    await engine.work([failing, double])
    const execution = await engine.submit(failing, undefined)
    expect(await execution.result()).toEqual([
      ['double', 2],
      ['double#1', 4],
    ])
    expect(new Set(spawned.map(String)).size).toBe(1)
    expect(await (await execution.flow())?.describe()).toMatchObject({ members: 3 })
    await execution.replaySubgraph()
    await execution.result()
    expect(await (await execution.flow())?.describe()).toMatchObject({ members: 5 })
    expect(new Set(spawned.map(String)).size).toBe(2)
  })

  test('come in rounds: each wait is for all that came so far', async () => {
    const engine = await open()
    const rounds = task({
      name: 'rounds',
      async run(context) {
        await context.spawn(double, 1)
        const [first] = await context.waitChildren<number>()
        const next = first?.outcome === 'completed' ? first.result : 0
        await context.spawn(double, next)
        const second = told(await context.waitChildren())
        await context.spawn(double, 10, { name: 'last' })
        return [second, told(await context.waitChildren())]
      },
    })
    await engine.work([rounds, double])
    const result = await (await engine.submit(rounds, undefined)).result()
    const second = [
      ['double', 2],
      ['double#1', 4],
    ]
    expect(result).toEqual([second, [...second, ['last', 20]]])
  })

  test('are enough when as many have completed as are needed', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    const quorum = task({
      name: 'quorum',
      async run(context) {
        for (const name of ['a', 'b', 'c']) await context.spawn(slow, name, { name })
        const one = told(await context.waitChildren({ policy: 'any' }))
        return [one, told(await context.waitChildren({ policy: 'quorum', k: 2 }))]
      },
    })
    await engine.work([quorum, slow], { concurrency: 4 })
    const execution = await engine.submit(quorum, undefined)
    const attempts = [await begun(), await begun(), await begun()]
    const finish = (name: string) => attempts.find(({ input }) => input === name)?.finish(name)
    finish('b')
    for await (const { event, executionId } of engine.events({ from: 'start' })) {
      if (event === 'waitChildren' && executionId === execution.id) break
    }
    finish('c')
    const [, two] = await execution.result()
    expect(two).toEqual([
      ['a', 'unfinished'],
      ['b', 'b'],
      ['c', 'c'],
    ])
    expect(await (await execution.flow())?.describe()).toMatchObject({ state: 'open' })
    finish('a')
    expect(await (await execution.flow())?.result()).toMatchObject({ state: 'completed' })
  })

  test('have children of their own, all in the flow that the first is in', async () => {
    const engine = await open()
    const nested = task({
      name: 'nested',
      async run(context, depth: number): Promise<unknown> {
        if (depth === 0) return (await context.inputs()).list.length
        await context.spawn(nested, depth - 1)
        const [inner] = await context.waitChildren()
        const { list } = await context.inputs()
        return [list.length, inner?.outcome === 'completed' ? inner.result : inner]
      },
    })
    await engine.work([nested, double])
    const flow = engine.flow('nesting')
    const first = flow.add(double, 1)
    const deep = flow.add(nested, 2, { after: first })
    const run = await flow.submit()
    expect(await run.execution(deep).result()).toEqual([1, [0, 0]])
    expect(await run.result()).toMatchObject({ state: 'completed', members: 4 })
  })

  test('are many at once, and one that is refused is no fault of the others', async () => {
    const engine = await open()
    const fan = task({
      name: 'fan',
      async run(context) {
        const numbers = Array.from({ length: 300 }, (_, n) => n)
        const spawning = numbers.map((n) => context.spawn(double, n))
        const wrong = context.spawn(double, 1, { lane: 'two lanes', name: 'wrong' })
        await refusal(wrong, 'invalid_input')
        await Promise.all(spawning)
        await refusal(context.spawn(double, 1, { name: 'double' }), 'invalid_input')
        return (await context.waitChildren<number>()).map((one) =>
          one.outcome === 'completed' ? one.result : -1,
        )
      },
    })
    await engine.work([fan, double], { concurrency: 50 })
    const execution = await engine.submit(fan, undefined)
    expect(await execution.result()).toEqual(Array.from({ length: 300 }, (_, n) => 2 * n))
  })

  test('that are replayed meanwhile are waited for once more, and not in a frenzy', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    const again = gate()
    let runs = 0
    const parent = task({
      name: 'parent',
      async run(context) {
        runs += 1
        if (runs === 2) await again.passed
        await context.spawn(slow, undefined)
        return told(await context.waitChildren({ policy: 'quorum', k: 1 }))
      },
    })
    await engine.work([parent, slow], { concurrency: 2 })
    const execution = await engine.submit(parent, undefined)
    const first = await begun()
    first.finish('first')
    for await (const { event } of engine.events({ from: 'start' })) {
      if (event === 'childrenSettled') break
    }
    await engine.execution(first.context.executionId).replaySubgraph()
    const second = await begun()
    again.open()
    for await (const { event } of engine.events({ from: 'start' })) if (event === 'delay') break
    second.finish('second')
    expect(await execution.result()).toEqual([['staged', 'second']])
    expect(runs).toBeLessThan(10)
  })

  test('of a flow that is cancelled end with it, as their parent does', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    const parent = task({
      name: 'parent',
      async run(context) {
        await context.spawn(slow, undefined)
        return context.waitChildren()
      },
    })
    await engine.work([parent, slow], { lease: '300ms', concurrency: 2 })
    const execution = await engine.submit(parent, undefined)
    const attempt = await begun()
    for await (const { event } of engine.events({ from: 'start' })) {
      if (event === 'waitChildren') break
    }
    await (await execution.flow())?.cancel({ wait: 'indefinite' })
    await attempt.aborted
    await refusal(execution.result(), 'execution_cancelled')
  })

  test('that ended while their parent was busy count in its next wait', async () => {
    const engine = await open()
    const [a, b, c] = ['a', 'b', 'c'].map((name) => staged({ name, lane: 'children' }))
    if (a === undefined || b === undefined || c === undefined) return expect.fail('no tasks')
    const busy = gate()
    const seen = gate()
    const parent = task({
      name: 'parent',
      async run(context) {
        await Promise.all([a, b, c].map(({ task: child }) => context.spawn(child, undefined)))
        await context.waitChildren({ policy: 'any' })
        seen.open()
        await busy.passed
        const policy = { policy: 'quorum', k: 2, impossible: 'fail' } as const
        const children = await context.waitChildren(policy)
        return children.map(({ outcome }) => outcome)
      },
    })
    await engine.work([parent])
    await engine.work([a.task, b.task, c.task], { concurrency: 3 })
    const execution = await engine.submit(parent, undefined)
    const [first, second] = [await a.begun(), await b.begun()]
    await c.begun()
    first.finish()
    await seen.passed
    second.finish()
    await engine.execution(second.context.executionId).result()
    busy.open()
    expect(await execution.result()).toEqual(['completed', 'completed', 'unfinished'])
  })

  test('that could not be added and that nobody looked at are reported', async () => {
    const engine = await open()
    const reported = gate<unknown>()
    const careless = task({
      name: 'careless',
      run(context) {
        void context.spawn(double, 1, { name: '' })
        return 'done'
      },
    })
    await engine.work([careless], { onError: reported.open })
    const execution = await engine.submit(careless, undefined)
    expect(await execution.result()).toBe('done')
    expect(await reported.passed).toMatchObject({ cause: { code: 'invalid_input' } })
    expect(faults).toEqual([])
  })

  test('are named past names that were given', async () => {
    const engine = await open()
    const parent = task({
      name: 'parent',
      async run(context) {
        await context.spawn(double, 1, { name: 'double' })
        const next = [await context.spawn(double, 2), await context.spawn(double, 3)]
        return next.map(({ name }) => name)
      },
    })
    await engine.work([parent, double])
    const execution = await engine.submit(parent, undefined)
    expect(await execution.result()).toEqual(['double#1', 'double#2'])
  })

  test('that nobody awaits are reported, and no children are no wait', async () => {
    const engine = await open()
    const reported = gate<unknown>()
    const forgetful = task({
      name: 'forgetful',
      async run(context) {
        await context.spawn(double, 1)
        void context.waitChildren()
        return 'too early'
      },
    })
    const childless = task({ name: 'childless', run: (context) => context.waitChildren() })
    await engine.work([forgetful], { onError: reported.open })
    await engine.work([childless])
    await engine.submit(forgetful, undefined)
    expect(String(await reported.passed)).toContain('await every waitFor and waitChildren')
    expect(await (await engine.submit(childless, undefined)).result()).toEqual([])
    expect(faults).toEqual([])
  })
})
