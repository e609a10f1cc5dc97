// Groups: what the inbound edges of an execution decide, by every policy and every order.
import { describe, expect, it } from 'vitest'
import type { Join } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import { claimAll, refusal, refusedWithoutTrace, sweepAll } from '../support/executions.ts'
import { type FlowUnderTest, startFlow } from '../support/flows.ts'

type Ending = 'completes' | 'fails' | 'holds'

interface Row {
  readonly join: Join
  readonly endings: readonly Ending[]
  readonly becomes: string
}

const all: Join = { policy: 'all' }
const any: Join = { policy: 'any' }
const two: Join = { policy: 'quorum', k: 2 }
const [ok, bad, on] = ['completes', 'fails', 'holds'] as const

/** The truth table: how the upstreams ended, and where that leaves what waits for them. */
const table: readonly Row[] = [
  { join: all, endings: [ok, ok, on], becomes: 'waiting_children' },
  { join: all, endings: [ok, ok, ok], becomes: 'waiting' },
  { join: all, endings: [ok, bad, on], becomes: 'skipped' },
  { join: { ...all, collect: 'all' }, endings: [ok, bad, on], becomes: 'waiting_children' },
  { join: { ...all, collect: 'all' }, endings: [ok, bad, ok], becomes: 'skipped' },
  { join: { ...all, impossible: 'fail' }, endings: [bad, on, on], becomes: 'failed' },
  { join: { ...all, impossible: 'resume' }, endings: [bad, on, on], becomes: 'waiting' },
  { join: any, endings: [ok, on, on], becomes: 'waiting' },
  { join: any, endings: [bad, bad, on], becomes: 'waiting_children' },
  { join: any, endings: [bad, bad, bad], becomes: 'skipped' },
  { join: two, endings: [ok, bad, on], becomes: 'waiting_children' },
  { join: two, endings: [ok, bad, bad], becomes: 'skipped' },
  { join: two, endings: [ok, bad, ok], becomes: 'waiting' },
]

/** Three upstreams a, b, c and d that waits for them. */
const joined = (join: Join) => ({
  nodes: ['a', 'b', 'c', 'd'],
  edges: ['a>d', 'b>d', 'c>d'],
  joins: { d: join },
})

async function endAll(flow: FlowUnderTest, endings: readonly Ending[]): Promise<void> {
  const [a = on, b = on, c = on] = endings
  await flow.run({ a, b, c })
}

export function describeJoins(open: Open): void {
  describe('A group', () => {
    it.each(table)('$join with $endings: $becomes', async ({ join, endings, becomes }) => {
      const { backend } = await open()
      const flow = await startFlow(backend, joined(join))
      await endAll(flow, endings)
      expect(await flow.states('d')).toEqual({ d: becomes })
    })

    it('is decided at once by upstreams that had ended before (F-C4)', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a', 'b'], finish: false })
      await flow.run({ a: ok, b: bad })
      await backend.applyGraph(flow.flowId, {
        members: [flow.member('after-a'), flow.member('after-b')],
        edges: [flow.edge('a>after-a'), flow.edge('b>after-b')],
        finish: true,
      })
      expect(await flow.states('after-a', 'after-b')).toEqual({
        'after-a': 'waiting',
        'after-b': 'skipped',
      })
    })

    it('counts any ending where an edge asks for completion only', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { ...joined(all), edge: { kind: 'completion' } })
      await endAll(flow, [bad, ok, bad])
      expect(await flow.states('d')).toEqual({ d: 'waiting' })
    })

    it('that is held decides nothing until it is sealed (F-C2, F-C3)', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a', 'b'], finish: false })
      await backend.applyGraph(flow.flowId, {
        members: [flow.member('d', { hold: true })],
        edges: [flow.edge('a>d')],
      })
      await flow.run({ a: ok, b: 'holds' })
      expect(await flow.states('d')).toEqual({ d: 'waiting_children' })
      await backend.applyGraph(flow.flowId, {
        edges: [flow.edge('b>d')],
        seal: [flow.id('d')],
        finish: true,
      })
      expect(await flow.states('d')).toEqual({ d: 'waiting_children' })
      const late = backend.applyGraph(flow.flowId, {
        members: [flow.member('x')],
        edges: [flow.edge('x>d')],
      })
      await refusal(late, 'group_sealed', { execution: flow.id('d').split('-')[1] })
    })

    it('without any edge lets its execution go when it is sealed', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a'], member: { hold: true } })
      expect(await claimAll(backend)).toEqual([])
      await backend.applyGraph(flow.flowId, { seal: [flow.id('a')] })
      await flow.run({ a: ok })
      expect(await flow.describe()).toMatchObject({ state: 'completed' })
    })

    it('keeps a delay that outlasts its edges', async () => {
      const { backend, clock } = await open()
      const flow = await startFlow(backend, { nodes: ['a'], finish: false })
      await backend.applyGraph(flow.flowId, {
        members: [flow.member('b', { delayMs: 1000 })],
        edges: [flow.edge('a>b')],
        finish: true,
      })
      await flow.run({ a: ok })
      expect(await flow.states('b')).toEqual({ b: 'delayed' })
      await clock.advance(1000)
      await sweepAll(backend)
      await flow.run({ b: ok })
    })

    it('cancels what it needs no more, but nothing that others wait for', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c', 'd', 'e'],
        edges: ['a>d', 'b>d', 'c>d', 'c>e'],
        joins: { d: { policy: 'any', remaining: 'cancel' } },
      })
      await flow.run({ a: ok, b: 'holds', c: 'holds' })
      expect(await flow.states('b', 'c', 'd', 'e')).toEqual({
        b: 'cancelled',
        c: 'active',
        d: 'waiting',
        e: 'waiting_children',
      })
    })

    it('that cancels the rest does not fail its flow', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, joined({ policy: 'any', remaining: 'cancel' }))
      await endAll(flow, [ok, on, on])
      await flow.run({ d: ok })
      expect(await flow.describe()).toMatchObject({
        state: 'completed',
        counts: { completed: 2, cancelled: 2 },
      })
    })

    it('refuses what could never be satisfied, and circles, with their names', async () => {
      const opened = await open()
      const { backend } = opened
      const flow = await startFlow(backend, { nodes: ['a'], finish: false })
      const add = (nodes: readonly string[], edges: readonly string[], join?: Join) => () =>
        backend.applyGraph(flow.flowId, {
          members: nodes.map((name) => flow.member(name)),
          edges: edges.map((text) => flow.edge(text)),
          joins: join === undefined ? [] : [{ downstream: flow.id('b'), ...join }],
        })
      const local = (name: string) => flow.id(name).split('-')[1]
      const unreachable = add(['b'], ['a>b'], { policy: 'quorum', k: 2 })
      await refusedWithoutTrace(opened, unreachable, 'quorum_unreachable', { k: '2', n: '1' })
      await refusedWithoutTrace(opened, add(['b'], ['b>b']), 'graph_cycle')
      const circle = await refusedWithoutTrace(
        opened,
        add(['b', 'c', 'd'], ['b>c', 'c>d', 'd>b', 'a>b']),
        'graph_cycle',
      )
      const around = String(circle.details.cycle).split(',')
      expect(around[0]).toBe(around.at(-1))
      expect(new Set(around)).toEqual(new Set([local('b'), local('c'), local('d')]))
      const stranger = add(['b'], ['nobody>b'])
      await refusedWithoutTrace(opened, stranger, 'execution_not_in_flow')
      const sealed = add([], ['a>a2'])
      await refusedWithoutTrace(opened, sealed, 'execution_not_in_flow')
    })

    it('takes a chain of more than a thousand without a false circle', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: [], finish: false })
      const names = Array.from({ length: 1100 }, (_, at) => `n${at}`)
      for (let from = 0; from < names.length; from += 220) {
        const part = names.slice(from, from + 220)
        await backend.applyGraph(flow.flowId, {
          members: part.map((name) => flow.member(name)),
          edges: part.flatMap((name, at) =>
            from + at === 0 ? [] : [flow.edge(`n${from + at - 1}>${name}`)],
          ),
        })
      }
      expect(await flow.describe()).toMatchObject({ members: 1100, edges: 1099 })
      await flow.run({ n0: 'fails' })
      // One call does a bounded part; whoever comes next does more.
      for (let left = 1; left > 0; ) {
        const drained = await Promise.all(backend.partitions.map((each) => backend.drain(each)))
        left = drained.reduce((sum, each) => sum + each.left, 0)
      }
      expect((await flow.describe()).counts).toMatchObject({ failed: 1, skipped: 1099 })
    })
  })
}
