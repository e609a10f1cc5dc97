// Running members of flows again: one, or with all that was given up because of it.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import { describeOne, refusal } from '../support/executions.ts'
import { startFlow } from '../support/flows.ts'

export function describeFlowReplay(open: Open): void {
  describe('Replay in a flow', () => {
    it('of a failed member with all that was skipped for it finishes the flow', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c', 'd'],
        edges: ['a>b', 'b>c', 'b>d'],
      })
      await flow.run({ a: 'fails' })
      expect(await flow.describe()).toMatchObject({ state: 'failed', counts: { skipped: 3 } })
      await refusal(backend.replayExecution(flow.id('a')), 'flow_ended')
      await backend.replaySubgraph(flow.id('a'), 'again')
      expect(await backend.replaySubgraph(flow.id('a'), 'again')).toEqual({ replays: 1 })
      expect(await flow.states('a', 'b', 'c', 'd')).toEqual({
        a: 'waiting',
        b: 'waiting_children',
        c: 'waiting_children',
        d: 'waiting_children',
      })
      expect(await flow.describe()).toMatchObject({ state: 'open', counts: { skipped: 0 } })
      await flow.run({ a: 'completes' })
      await flow.run({ b: 'completes' })
      await flow.run({ c: 'completes', d: 'completes' })
      expect(await flow.describe()).toMatchObject({ state: 'completed' })
    })

    it('leaves skipped what another failure still stands against', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        edges: ['a>c', 'b>c'],
      })
      await flow.run({ a: 'fails', b: 'fails' })
      await backend.replaySubgraph(flow.id('a'))
      expect(await flow.states('a', 'b', 'c')).toEqual({ a: 'waiting', b: 'failed', c: 'skipped' })
      await refusal(
        backend.replayExecution(flow.id('c'), undefined, { reopen: true }),
        'dependency_failed',
      )
      await flow.run({ a: 'completes' })
      await backend.replaySubgraph(flow.id('b'))
      await flow.run({ b: 'completes' })
      await flow.run({ c: 'completes' })
      expect(await flow.describe()).toMatchObject({ state: 'completed' })
    })

    it('of a skipped member of a quorum counts its upstreams anew', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        edges: ['a>c', 'b>c'],
        joins: { c: { policy: 'any' } },
      })
      await flow.run({ a: 'fails', b: 'fails' })
      await backend.replayExecution(flow.id('a'), undefined, { reopen: true })
      // Its upstream runs again, so it may as well.
      await backend.replayExecution(flow.id('c'), undefined, { reopen: true })
      expect(await flow.states('c')).toEqual({ c: 'waiting_children' })
      await flow.run({ a: 'completes' })
      await flow.run({ c: 'completes' })
      expect(await flow.describe()).toMatchObject({ counts: { completed: 2, failed: 1 } })
    })

    it('of an upstream takes its vote back from what still waits', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        edges: ['a>c', 'b>c'],
        joins: { c: { policy: 'any' } },
      })
      await flow.run({ a: 'fails', b: 'holds' })
      await backend.replayExecution(flow.id('a'))
      const groupOf = async () =>
        (await backend.listMembers(flow.flowId, undefined, 10)).items.find(
          ({ executionId }) => executionId === flow.id('c'),
        )?.group
      expect(await groupOf()).toMatchObject({ total: 2, failed: 0, state: 'pending' })
      await flow.run({ a: 'completes' })
      expect(await groupOf()).toMatchObject({ satisfied: 1, state: 'satisfied' })
      expect(await describeOne(backend, flow.id('c'))).toMatchObject({ state: 'runnable.ready' })
    })

    it('starts work again that started although its upstream had failed', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b'],
        edges: ['a>b'],
        joins: { b: { policy: 'all', impossible: 'resume' } },
      })
      await flow.run({ a: 'fails' })
      await flow.run({ b: 'fails' })
      await backend.replayExecution(flow.id('b'), undefined, { reopen: true })
      await flow.run({ b: 'completes' })
      await backend.replaySubgraph(flow.id('a'))
      await flow.run({ a: 'completes' })
      expect(await flow.describe()).toMatchObject({ state: 'completed' })
    })

    it('of much that depends on much goes on step by step', async () => {
      const { backend } = await open({ partitions: 1 })
      const sources = Array.from({ length: 30 }, (_, at) => `source${at}`)
      const sinks = Array.from({ length: 10 }, (_, at) => `sink${at}`)
      const flow = await startFlow(backend, {
        nodes: [...sources, ...sinks],
        edges: sinks.flatMap((sink) => sources.map((source) => `${source}>${sink}`)),
      })
      const [first = '', ...others] = sources
      await flow.run({
        [first]: 'fails',
        ...Object.fromEntries(others.map((name) => [name, 'completes'])),
      })
      await backend.drain(0)
      expect(await flow.describe()).toMatchObject({ counts: { skipped: 10, completed: 29 } })
      await backend.replaySubgraph(flow.id(first))
      // The server is not held up by 300 looks at once.
      const { counts } = await flow.describe()
      expect(counts.skipped).toBeGreaterThan(0)
      expect(counts.skipped).toBeLessThan(10)
      await backend.drain(0)
      expect(await flow.describe()).toMatchObject({ counts: { waiting_children: 10 } })
      await flow.run({ [first]: 'completes' })
      expect(await flow.states(...sinks)).toEqual(
        Object.fromEntries(sinks.map((name) => [name, 'waiting'])),
      )
    })

    it('does not happen in a flow of which a part is forgotten', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const names = Array.from({ length: 100 }, (_, at) => `n${at}`)
      const flow = await startFlow(backend, { nodes: names, flow: { retentionMs: 1000 } })
      await flow.run(Object.fromEntries(names.map((name) => [name, 'fails'])))
      await clock.advance(1000)
      await backend.sweep(0, 1)
      const [left] = (await backend.listMembers(flow.flowId, undefined, 1)).items
      const again = () => backend.replaySubgraph(left?.executionId ?? '')
      await refusal(again(), 'flow_ended')
      await backend.sweep(0, 1)
      expect(await backend.describeFlow(flow.flowId)).toBeUndefined()
    })

    it('of an upstream says nothing to work that has begun and waits for another', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c', 'd'],
        edges: ['a>d', 'b>d', 'c>d'],
        joins: { d: { policy: 'any' } },
      })
      await flow.run({ a: 'fails', b: 'completes', c: 'holds' })
      const waiting = (await flow.claim()).get('d') ?? expect.fail('it cannot run')
      const join = { policy: 'all', collect: 'first', impossible: 'resume' } as const
      await backend.waitChildren(waiting.handle, join)
      await backend.replaySubgraph(flow.id('b'))
      expect(await flow.states('d')).toEqual({ d: 'waiting_children' })
    })

    it('does not happen in a cancelled flow', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a', 'b'] })
      await flow.run({ a: 'fails', b: 'holds' })
      await backend.cancelFlow(flow.flowId, 'cancel_all', 'indefinite')
      const again = () => backend.replayExecution(flow.id('a'), undefined, { reopen: true })
      await refusal(again(), 'flow_ended')
      await refusal(backend.replaySubgraph(flow.id('a')), 'flow_ended')
    })
  })
}
