// Flows as applications build them: order, inputs, joins, cancelling, replay, and submitting twice.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Engine, type FlowNode, isEngineError, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { gate, staged } from './staged.ts'

const word = task({ name: 'word', run: (_context, text: string) => text })
const broken = task({
  name: 'broken',
  run: (): string => {
    throw new Error('no luck')
  },
})

/** What the inputs of a node came to, in its order. */
const gather = task({
  name: 'gather',
  async run(context) {
    const { list } = await context.inputs()
    return list.map((input) => {
      const { name, task: of, outcome } = input
      const more = input.outcome === 'completed' ? input.result : ''
      const why = 'reason' in input ? [input.reason, input.message] : []
      return [name, of, outcome, more, ...why]
    })
  },
})

describe.each(kinds)('a flow on %s', (kind) => {
  const { open } = useEngines(kind)

  test('runs its nodes in order and hands on what they came to', async () => {
    const engine = await open()
    const flow = engine.flow('release', { tags: { team: 'core' } })
    const first = flow.add(word, 'first')
    const second = flow.add(word, 'second', { after: first })
    const bad = flow.add(broken, undefined, { after: [second] })
    const after = { second, 'bad-one': flow.ended(bad), first }
    const last = flow.add(gather, undefined, { after })
    const run = await flow.submit()
    await engine.work([word, broken, gather])
    const ended = await run.result()
    expect(ended).toMatchObject({
      kind: 'release',
      state: 'failed',
      members: 4,
      edges: 5,
      counts: { completed: 3, failed: 1 },
      tags: { team: 'core' },
    })
    expect(await run.execution(last).result()).toEqual([
      ['second', 'word', 'completed', 'second'],
      ['bad-one', 'broken', 'failed', '', 'failed', 'no luck'],
      ['first', 'word', 'completed', 'first'],
    ])
    expect(await run.result()).toEqual(ended)
    expect(await run.describe()).toEqual(ended)
    const states: string[] = []
    for await (const { publicState } of run.members()) states.push(publicState)
    expect(states.sort()).toEqual(['completed', 'completed', 'completed', 'failed'])
  })

  test('gives inputs by name, and fails for good where one is missing', async () => {
    const engine = await open()
    const choosy = task({
      name: 'choosy',
      retry: { attempts: 5, delay: 1 },
      async run(context, name: string) {
        const inputs = await context.inputs()
        expect(inputs.get('one').outcome).toBe('completed')
        expect(() => inputs.get('other')).toThrow('invalid_input')
        return inputs.result<string>(name)
      },
    })
    await engine.work([word, broken, choosy, gather], { concurrency: 4 })
    const flow = engine.flow('names')
    const one = flow.add(word, '1')
    const bad = flow.ended(flow.add(broken, undefined))
    const good = flow.add(choosy, 'one', { after: { one, bad } })
    const failing = flow.add(choosy, 'bad', { after: { one, bad } })
    const run = await flow.submit()
    expect(await run.execution(good).result()).toBe('1')
    await refusal(run.execution(failing).result(), 'execution_failed')
    expect((await run.execution(failing).describe())?.totalAttempts).toBe(1)
    const alone = await engine.submit(gather, undefined)
    expect(await alone.result()).toEqual([])
    expect(await alone.flow()).toBeUndefined()
    expect((await run.execution(good).flow())?.id).toBe(run.id)
  })

  test('joins as it is told: the first of several is enough', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([word, slow, gather], { concurrency: 3, lease: '300ms' })
    const flow = engine.flow('race')
    const racers = [flow.add(word, 'quick'), flow.add(slow, undefined)]
    const after = Object.fromEntries(racers.map((node) => [node.name, node]))
    const join = { policy: 'any', remaining: 'cancel' } as const
    const winner = flow.add(gather, undefined, { after, join })
    const run = await flow.submit()
    const attempt = await begun()
    expect(await run.execution(winner).result()).toHaveLength(2)
    expect(isEngineError(await attempt.aborted, 'execution_cancelled')).toBe(true)
    expect(await run.execution('staged').describe()).toMatchObject({ reason: 'no_longer_needed' })
    expect(await run.result()).toMatchObject({ state: 'completed', counts: { cancelled: 1 } })
  })

  test('comes to what its root comes to', async () => {
    const engine = await open()
    await engine.work([word, broken])
    const flow = engine.flow('rooted')
    flow.add(broken, undefined)
    const root = flow.add(word, 'root')
    const run = await flow.submit({ root })
    expect(await run.result()).toMatchObject({ state: 'completed', counts: { failed: 1 } })
  })

  test('is the same flow when it is submitted again under its key', async () => {
    const engine = await open()
    const build = (text: string) => {
      const flow = engine.flow('keyed', { idempotencyKey: 'k-1' })
      flow.add(word, text, { name: 'only' })
      return flow
    }
    const first = build('one')
    const runs = [await first.submit(), await first.submit(), await build('one').submit()]
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1)
    expect(runs.map(({ duplicate }) => duplicate)).toEqual([false, true, true])
    await engine.work([word])
    const [run] = runs
    expect(await run?.result()).toMatchObject({ state: 'completed', members: 1 })
    await build('one').submit()
    const larger = build('one')
    larger.add(word, 'more')
    await refusal(larger.submit(), 'flow_ended')
    const other = engine.flow('other', { idempotencyKey: 'k-1' })
    other.add(word, 'x')
    await refusal(other.submit(), 'flow_differs')
    expect(
      await engine
        .flowRun(run?.id ?? '')
        .execution<string>('only')
        .result(),
    ).toBe('one')
  })

  test('is refused before anything is written', async () => {
    const engine = await open()
    const shaped = task({ name: 'shaped', input: z.object({ n: z.number() }), run: () => 1 })
    const refused = (code: 'invalid_input' | 'quorum_unreachable', act: () => unknown) => {
      try {
        act()
      } catch (error) {
        expect(isEngineError(error, code)).toBe(true)
        return
      }
      throw new Error('was accepted')
    }
    refused('invalid_input', () => engine.flow('two words'))
    refused('invalid_input', () => engine.flow('a', { idempotencyKey: '' }))
    await refusal(engine.flow('empty').submit(), 'invalid_input')
    const flow = engine.flow('wrong')
    const node = flow.add(word, 'a', { name: 'a' })
    const foreign = engine.flow('foreign').add(word, 'a', { name: 'a' })
    const add = (options: Parameters<typeof flow.add>[2]) => () => flow.add(word, 'b', options)
    refused('invalid_input', add({ name: 'a' }))
    refused('invalid_input', add({ name: '' }))
    refused('invalid_input', add({ after: foreign }))
    refused('invalid_input', add({ after: { a: node, b: node } }))
    refused('invalid_input', add({ after: { 'two words': node } }))
    refused('invalid_input', add({ after: { '+': node } }))
    refused('invalid_input', add({ after: ['a'] as unknown as FlowNode[] }))
    refused('invalid_input', add({ join: { policy: 'any' } }))
    refused('invalid_input', add({ after: node, join: { policy: 'quorum' } }))
    refused('invalid_input', add({ after: node, join: { policy: 'all', k: 1 } }))
    refused('quorum_unreachable', add({ after: node, join: { policy: 'quorum', k: 2 } }))
    await refusal(flow.submit({ root: foreign }), 'invalid_input')
    const misfits: ((engine: Engine) => Promise<unknown>)[] = [
      (at) => submitWith(at, (wrong) => wrong.add(shaped, { n: 'x' as unknown as number })),
      (at) => submitWith(at, (wrong) => wrong.add(word, 'x', { lane: 'two lanes' })),
      (at) => submitWith(at, (wrong) => wrong.add(word, 'x', { priority: -1 })),
      // Only the store can say how late it is.
      (at) => submitWith(at, (wrong) => wrong.add(word, 'x', { delay: '2s', deadline: '1s' })),
    ]
    for (const misfit of misfits) await refusal(misfit(engine), 'invalid_input')
    for (const partition of engine.backend.partitions) {
      expect((await engine.backend.listFlows(partition, undefined, 10)).items).toEqual([])
    }
    await refusal(engine.flowRun(engine.backend.flowId('none')).result(), 'flow_not_found')
  })

  test('is cancelled as far as the policy goes, and reaches a running handler', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([word, slow], { lease: '300ms' })
    const flow = engine.flow('cancelled')
    const running = flow.add(slow, undefined)
    const waiting = flow.add(word, 'never', { after: running })
    const run = await flow.submit()
    const attempt = await begun()
    const wait = run.result()
    expect(await run.cancel({ policy: 'cancel_pending', wait: '5s' })).toMatchObject({
      outcome: 'cancelled',
      policy: 'cancel_pending',
      unfinished: 1,
    })
    expect(await wait).toMatchObject({ state: 'cancelled', unfinished: 1 })
    await refusal(run.execution(waiting).result(), 'execution_cancelled')
    expect(attempt.context.signal.aborted).toBe(false)
    expect(await run.cancel({ wait: 'indefinite' })).toMatchObject({ policy: 'cancel_all' })
    expect(isEngineError(await attempt.aborted, 'execution_cancelled')).toBe(true)
    await refusal(run.execution(running).result(), 'execution_cancelled')
  })

  test('runs again what was given up, once the node that failed is replayed', async () => {
    const engine = await open()
    let isMended = false
    const fragile = task({
      name: 'fragile',
      run: () => {
        if (!isMended) throw new Error('not yet')
        return 'mended'
      },
    })
    await engine.work([fragile, word, gather])
    const flow = engine.flow('replayed')
    const first = flow.add(fragile, undefined)
    const last = flow.add(gather, undefined, { after: { first } })
    const run = await flow.submit()
    expect(await run.result()).toMatchObject({ state: 'failed', counts: { skipped: 1 } })
    await refusal(run.execution(last).replaySubgraph(), 'dependency_failed')
    isMended = true
    await run.execution(first).replaySubgraph()
    expect(await run.execution(last).result()).toEqual([
      ['first', 'fragile', 'completed', 'mended'],
    ])
    expect(await run.result()).toMatchObject({ state: 'completed', counts: { completed: 2 } })
    const told: string[] = []
    for await (const event of engine.events({ from: 'start' })) {
      if (event.flowId === undefined) continue
      expect(event).toMatchObject({ flowId: run.id, by: 'flow' })
      told.push(`${event.event} ${event.state}`)
      if (told.length === 3) break
    }
    expect(told).toEqual(['endFlow failed', 'reopenFlow open', 'endFlow completed'])
  })

  test('of 1200 nodes with a wide end goes on where an earlier submission stopped', async () => {
    const namespace = freshNamespace()
    const engine = await open(kind === 'valkey' ? { namespace } : {})
    const build = () => {
      const flow = engine.flow('large', { idempotencyKey: 'large' })
      const nodes = Array.from({ length: 1198 }, (_, at) => flow.add(word, `${at}`))
      const middle = flow.add(word, 'middle', { after: nodes.slice(600) })
      flow.add(gather, undefined, { after: [...nodes, middle] })
      return flow
    }
    const { backend } = engine
    const { applyGraph } = backend
    let calls = 0
    backend.applyGraph = (...args) => {
      calls += 1
      return calls === 2 ? Promise.reject(new Error('crash')) : applyGraph(...args)
    }
    await expect(build().submit()).rejects.toThrow('crash')
    await engine.work([word, gather], { concurrency: 64 })
    const run = await build().submit()
    expect(calls).toBe(8)
    expect(await run.result()).toMatchObject({ state: 'completed', members: 1200, edges: 1797 })
    expect(await run.execution('gather').result()).toHaveLength(1199)
  }, 60_000)

  test('tells everybody who waits of its end, or that it takes too long', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow])
    const flow = engine.flow('awaited')
    flow.add(slow, undefined)
    const run = await flow.submit()
    const waits = [run.result(), engine.flowRun(run.id).result()]
    await refusal(run.result({ timeout: 1 }), 'result_timeout')
    const attempt = await begun()
    attempt.finish()
    for (const wait of waits) expect(await wait).toMatchObject({ state: 'completed' })
    const endless = engine.flow('endless')
    endless.add(word, 'nobody works on it')
    const waiting = (await endless.submit()).result()
    const closed = gate<unknown>()
    waiting.catch(closed.open)
    await engine.close()
    expect(isEngineError(await closed.passed, 'engine_closed')).toBe(true)
  })
})

async function submitWith(
  engine: Engine,
  add: (flow: ReturnType<Engine['flow']>) => unknown,
): Promise<unknown> {
  const flow = engine.flow('misfit')
  flow.add(word, 'fine')
  add(flow)
  return flow.submit()
}
