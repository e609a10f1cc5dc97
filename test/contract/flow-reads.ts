// Reading flows: members, edges and inputs by pages, and that damage is told by key and field.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import { bytes, submit } from '../support/executions.ts'
import { startFlow } from '../support/flows.ts'

export function describeFlowReads(open: Open): void {
  describe('Reading a flow', () => {
    it('tells its edges from both sides, each once', async () => {
      const { backend, clock } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        edges: ['a>c', 'b>c'],
        edge: { name: 'source' },
      })
      await flow.run({ a: 'completes', b: 'holds' })
      const [fromA, fromB] = await backend.listEdges(flow.flowId, { incoming: flow.id('c') })
      expect(fromA).toEqual({
        edgeId: expect.stringMatching(/^\w{26}\.\w{26}$/),
        flowId: flow.flowId,
        upstream: flow.id('a'),
        downstream: flow.id('c'),
        kind: 'success',
        state: 'satisfied',
        name: 'source',
        createdAtMs: clock.nowMs(),
      })
      expect(fromB).toMatchObject({ upstream: flow.id('b'), state: 'pending' })
      expect(await backend.listEdges(flow.flowId, { outgoing: flow.id('a') })).toEqual([fromA])
      expect(await backend.listEdges(flow.flowId, { incoming: flow.id('a') })).toEqual([])
      const edgeId = fromA?.edgeId ?? ''
      expect(await backend.describeEdge(flow.flowId, edgeId)).toEqual(fromA)
      const backwards = edgeId.split('.').reverse().join('.')
      expect(await backend.describeEdge(flow.flowId, backwards)).toBeUndefined()
    })

    it('finds the flow of an execution, and nothing for one that stands alone', async () => {
      const { backend } = await open({ partitions: 1 })
      const flow = await startFlow(backend, { nodes: ['a'] })
      const alone = await submit(backend)
      expect(await backend.resolveExecutionFlowId(flow.id('a'))).toBe(flow.flowId)
      expect(await backend.resolveExecutionFlowId(alone)).toBeUndefined()
      expect(await backend.resolveExecutionFlowId(flow.id('nobody'))).toBeUndefined()
      expect(await backend.listEdges(flow.flowId, { incoming: alone })).toEqual([])
    })

    it('pages through flows and members in the order of their ids', async () => {
      const { backend } = await open({ partitions: 1 })
      const nodes = Array.from({ length: 7 }, (_, at) => `n${at}`)
      const flows = await Promise.all([1, 2, 3].map(() => startFlow(backend, { nodes })))
      const found: string[] = []
      for (let cursor: string | undefined; ; ) {
        const page = await backend.listFlows(0, cursor, 2)
        found.push(...page.items.map(({ flowId }) => flowId))
        cursor = page.nextCursor
        if (cursor === undefined) break
      }
      expect(found).toEqual(flows.map(({ flowId }) => flowId).sort())
      const [flow] = flows
      const first = await backend.listMembers(flow?.flowId ?? '', undefined, 4)
      const rest = await backend.listMembers(flow?.flowId ?? '', first.nextCursor, 4)
      const ids = [...first.items, ...rest.items].map(({ executionId }) => executionId)
      expect(ids).toEqual(nodes.map((name) => flow?.id(name)).sort())
      expect(rest.nextCursor).toBeUndefined()
      expect(await backend.listFlows(0, undefined, 0)).toEqual({
        items: [],
        corrupt: [],
        nextCursor: undefined,
      })
    })

    it('hands out results byte for byte, and failures, under names of edges', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a', 'b'], finish: false })
      await backend.applyGraph(flow.flowId, {
        members: [flow.member('c')],
        edges: [
          flow.edge('a>c', { name: 'left' }),
          flow.edge('b>c', { name: 'right', kind: 'completion' }),
        ],
      })
      const claims = await flow.claim()
      const result = Uint8Array.from([0, 255, 10, 13, 0])
      const handle = (name: string) => claims.get(name)?.handle ?? expect.fail(name)
      await backend.complete(handle('a'), result)
      await backend.fail(handle('b'), { message: 'no' }, 'permanent')
      const { items } = await backend.readInputs(flow.id('c'), 0, 10)
      expect(items.map(({ name, publicState }) => [name, publicState])).toEqual([
        ['left', 'completed'],
        ['right', 'failed'],
      ])
      expect(Buffer.from(items[0]?.ending ?? bytes(''))).toEqual(Buffer.from(result))
      expect(Buffer.from(items[1]?.ending ?? bytes('')).toString()).toContain('no')
      const second = await backend.readInputs(flow.id('c'), 1, 10)
      expect(second.items.map(({ name }) => name)).toEqual(['right'])
    })

    it('answers with nothing where there is nothing', async () => {
      const { backend } = await open()
      const nobody = `0-${'0'.repeat(26)}`
      expect(await backend.describeFlow(nobody)).toBeUndefined()
      expect(await backend.purgeFlow(nobody)).toEqual({ outcome: 'absent' })
      expect((await backend.listMembers(nobody, undefined, 10)).items).toEqual([])
      expect((await backend.readInputs(nobody, 0, 10)).items).toEqual([])
    })
  })
}
