// Flows: members start when their inbound edges allow, and the flow ends with its last member.
import { describe, expect, it } from 'vitest'
import type { FlowSpec, GraphChange } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  describeOne,
  refusal,
  refusedWithoutTrace,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'
import { FlowUnderTest, startFlow } from '../support/flows.ts'

const day = 86_400_000

export function describeFlows(open: Open): void {
  describe('A flow', () => {
    it('runs a diamond in order and completes with its last member', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c', 'd'],
        edges: ['a>b', 'a>c', 'b>d', 'c>d'],
      })
      expect(await flow.states('a', 'b', 'd')).toEqual({
        a: 'waiting',
        b: 'waiting_children',
        d: 'waiting_children',
      })
      await flow.run({ a: 'completes' })
      await flow.run({ b: 'completes', c: 'holds' })
      expect(await flow.describe()).toMatchObject({
        state: 'open',
        publicState: 'running',
        members: 4,
        edges: 4,
        unfinished: 2,
        counts: { completed: 2, active: 1, waiting_children: 1 },
      })
    })

    it('skips what cannot run any more, all the way down, and fails', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c', 'e'],
        edges: ['a>b', 'b>c'],
      })
      await flow.run({ a: 'fails', e: 'completes' })
      expect(await flow.states('a', 'b', 'c', 'e')).toEqual({
        a: 'failed',
        b: 'skipped',
        c: 'skipped',
        e: 'completed',
      })
      expect(await flow.describe()).toMatchObject({ state: 'failed', unfinished: 0 })
    })

    it('completes when only skipped and completed members are left', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        edges: ['a>c', 'b>c'],
        joins: { c: { policy: 'any' } },
      })
      await flow.run({ a: 'completes', b: 'holds' })
      await flow.run({ c: 'completes' })
      expect(await flow.describe()).toMatchObject({ state: 'open', unfinished: 1 })
    })

    it('gives what a deadline has set free to the claim that finds it over', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const flow = new FlowUnderTest(backend, backend.flowId())
      const members = [flow.member('a', { deadlineMs: 1000 }), flow.member('b')]
      const edges = [flow.edge('a>b', { kind: 'completion' })]
      await backend.createFlow({ flowId: flow.flowId, kind: 'test' }, { members, edges })
      await clock.advance(1000)
      expect(await claimIds(backend)).toEqual([flow.id('b')])
      expect(await flow.states('a')).toEqual({ a: 'expired' })
    })

    it('cannot end before it is sealed, and never without members', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a'], finish: false })
      await flow.run({ a: 'completes' })
      expect(await flow.describe()).toMatchObject({ state: 'open', unfinished: 0, sealed: false })
      await backend.applyGraph(flow.flowId, { finish: true })
      expect(await flow.describe()).toMatchObject({ state: 'completed', sealed: true })
      const empty = await startFlow(backend, { nodes: [] })
      expect(await empty.describe()).toMatchObject({ state: 'open', members: 0 })
    })

    it('begins with its first change, or not at all', async () => {
      const opened = await open({ partitions: 1 })
      const { backend } = opened
      const flow = new FlowUnderTest(backend, backend.flowId())
      const { flowId } = flow
      const begin = (change: GraphChange, spec: Partial<FlowSpec> = {}) =>
        backend.createFlow({ flowId, kind: 'test', ...spec }, change)
      const late = { members: [flow.member('a', { deadlineAtMs: 1 })] }
      await refusedWithoutTrace(opened, () => begin(late), 'invalid_input')
      const cycle = { members: [flow.member('a')], edges: [flow.edge('a>a')] }
      await refusedWithoutTrace(opened, () => begin(cycle), 'graph_cycle')
      await refusedWithoutTrace(opened, () => begin({}, { completion: 'root' }), 'invalid_input')
      const first = { members: [flow.member('a')], finish: true }
      expect(await begin(first, { tags: { a: 'b' } })).toEqual({ outcome: 'created', flowId })
      expect(await flow.describe()).toMatchObject({ kind: 'test', members: 1, tags: { a: 'b' } })
      await refusedWithoutTrace(opened, () => begin(first), 'flow_differs', { argument: 'tags' })
      const more = { members: [flow.member('b')] }
      expect(await begin(more, { tags: { a: 'b' } })).toEqual({ outcome: 'exists', flowId })
      expect(await flow.states('a', 'b')).toEqual({ a: 'waiting', b: 'waiting' })
    })

    it('takes no member and no edge once it has ended', async () => {
      const opened = await open()
      const { backend } = opened
      const flow = await startFlow(backend, { nodes: ['a'] })
      await flow.run({ a: 'completes' })
      const late = () => backend.applyGraph(flow.flowId, { members: [flow.member('b')] })
      await refusedWithoutTrace(opened, late, 'flow_ended')
      // What is there already is known, however late it is said again.
      await backend.applyGraph(flow.flowId, { members: [flow.member('a')], finish: true })
    })

    it('takes no running parent once it has ended', async () => {
      const opened = await open({ partitions: 1 })
      const { backend } = opened
      const ended = await startFlow(backend, { nodes: ['a'] })
      await ended.run({ a: 'completes' })
      const { handle: parent, executionId } = await submitAndClaim(backend, { lane: 'parents' })
      // Its retention would be over while the parent runs.
      const late = () => backend.applyGraph(ended.flowId, { parent })
      await refusedWithoutTrace(opened, late, 'flow_ended')
      const growing = await startFlow(backend, { nodes: ['a'], finish: false })
      const { revision, members } = await growing.describe()
      const adopted = await backend.applyGraph(growing.flowId, { parent })
      expect(adopted).toMatchObject({ revision: revision + 1, members: members + 1 })
      expect(await backend.applyGraph(growing.flowId, { parent })).toMatchObject(adopted)
      expect(await describeOne(backend, executionId)).toMatchObject({ flowId: growing.flowId })
    })

    it('is forgotten with all its members after its retention', async () => {
      const { backend, clock, dump } = await open({ partitions: 1 })
      const empty = await dump()
      const flow = await startFlow(backend, { nodes: ['a', 'b'], edges: ['a>b'] })
      await flow.run({ a: 'completes' })
      await refusal(backend.purgeExecution(flow.id('a')), 'execution_in_flow')
      await refusal(backend.purgeFlow(flow.flowId), 'flow_not_ended')
      await flow.run({ b: 'completes' })
      await clock.advance(day - 1)
      await sweepAll(backend)
      expect(await flow.states('a', 'b')).toEqual({ a: 'completed', b: 'completed' })
      await clock.advance(1)
      await sweepAll(backend)
      expect(await backend.describeFlow(flow.flowId)).toBeUndefined()
      const left = [...(await dump()).keys()].filter((key) => !empty.has(key))
      expect(left.filter((key) => !/feed|lanes|segments/.test(key))).toEqual([])
    })

    it('fails fast: the first bad member ends all others, also running ones', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c', 'd'],
        edges: ['c>d'],
        flow: { failure: 'fail_fast' },
      })
      await flow.run({ a: 'fails', b: 'holds', c: 'holds' })
      expect(await flow.describe()).toMatchObject({ state: 'failed', reason: 'member_failed' })
      expect(await flow.states('b', 'c', 'd')).toEqual({
        b: 'cancelled',
        c: 'cancelled',
        d: 'cancelled',
      })
      expect(await claimIds(backend)).toEqual([])
    })
  })
}
