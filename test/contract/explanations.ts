// Why an execution does not run: one answer for each thing that can be in the way.
import { describe, expect, it } from 'vitest'
import type { EngineBackend, ExecutionSnapshot } from '../../src/persistence/backend.ts'
import { explainExecution } from '../../src/persistence/explanation.ts'
import type { Open } from '../support/backends.ts'
import { claimAll, claimOne, submit, submitAndClaim, sweepAll } from '../support/executions.ts'
import { startFlow } from '../support/flows.ts'

async function why(backend: EngineBackend, id: ExecutionSnapshot['executionId']) {
  const explanation = await explainExecution(backend, id)
  return explanation ?? expect.fail('there is no such execution')
}

const kinds = async (backend: EngineBackend, id: string) =>
  (await why(backend, id)).reasons.map(({ kind }) => kind)

export function describeExplanations(open: Open): void {
  describe('An explanation', () => {
    it('says of claimable work which worker would run it', async () => {
      const { backend } = await open()
      const id = await submit(backend, { capabilities: ['gpu'] })
      expect(await why(backend, id)).toEqual({
        executionId: id,
        state: 'runnable.ready',
        reasons: [{ kind: 'worker', lane: 'lane', capabilities: ['gpu'] }],
        text: 'It waits for a worker of lane lane that offers gpu.',
      })
      const nobody = `0-${'0'.repeat(26)}`
      expect(await explainExecution(backend, nobody)).toBeUndefined()
    })

    it('names a paused lane, a grant, a time and an operator', async () => {
      const { backend, clock } = await open()
      const id = await submit(backend, { delayMs: 5000 })
      const atMs = clock.nowMs() + 5000
      expect((await why(backend, id)).reasons).toEqual([{ kind: 'time', atMs, retry: false }])
      await backend.blockExecution(id, 'audit')
      expect(await kinds(backend, id)).toEqual(['operator', 'time'])
      await clock.advance(5000)
      await backend.unblockExecution(id, 'audit')
      await backend.pauseLane('lane')
      const paused = await why(backend, id)
      expect(paused.reasons).toEqual([{ kind: 'lane', lane: 'lane', state: 'paused' }])
      expect(paused.text).toBe('The lane lane is paused; resume it.')
      await backend.resumeLane('lane')
      await backend.issueClaimGrant(id, { worker: 'w1' })
      expect(await kinds(backend, id)).toEqual(['grant'])
    })

    it('names no children for a parent that does not wait for them', async () => {
      const { backend, clock } = await open()
      const { handle, executionId: id } = await submitAndClaim(backend)
      const { flowId } = await backend.createFlow({ kind: 'own', completion: 'root', root: id })
      const child = backend.memberId(flowId, 'child')
      await backend.applyGraph(flowId, {
        parent: handle,
        members: [{ id: child, lane: 'children', task: 'child', input: Buffer.from('') }],
        edges: [{ upstream: child, downstream: id }],
      })
      await clock.advance(30_000)
      await sweepAll(backend)
      expect(await kinds(backend, id)).toEqual(['lost_lease', 'worker'])
      const again = await claimOne(backend)
      await backend.waitChildren(again.handle)
      expect(await kinds(backend, id)).toEqual(['dependencies'])
    })

    it('follows work through its life', async () => {
      const { backend, clock } = await open()
      const { handle, executionId: id } = await submitAndClaim(backend, {
        retry: { attempts: 2, on: ['transient'] },
      })
      expect(await kinds(backend, id)).toEqual(['running'])
      await clock.advance(30_000)
      await sweepAll(backend)
      expect(await kinds(backend, id)).toEqual(['lost_lease', 'worker'])
      const again = await claimOne(backend)
      await backend.fail(again.handle, { message: 'no' }, 'transient')
      expect((await why(backend, id)).reasons).toMatchObject([{ kind: 'time', retry: true }])
      await clock.advance(60_000)
      const third = await claimOne(backend)
      await backend.suspend(third.handle, [{ key: 'approval' }])
      expect((await why(backend, id)).text).toMatch(/^It is suspended \(/)
      await backend.cancelExecution(id, 'enough')
      expect((await why(backend, id)).reasons).toEqual([
        { kind: 'ended', state: 'cancelled', reason: 'cancelled_by_operator' },
      ])
      expect(handle).toBeDefined()
    })

    it('names the upstreams that have not ended, and a hold', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        edges: ['a>c', 'b>c'],
        finish: false,
      })
      await flow.run({ a: 'completes', b: 'holds' })
      const { reasons, text } = await why(backend, flow.id('c'))
      expect(reasons).toEqual([
        {
          kind: 'dependencies',
          policy: 'all',
          total: 2,
          satisfied: 1,
          held: false,
          upstreams: [flow.id('b')],
        },
      ])
      expect(text).toContain(flow.id('b'))
      await backend.applyGraph(flow.flowId, { members: [flow.member('d', { hold: true })] })
      expect((await why(backend, flow.id('d'))).text).toMatch(/held until/)
    })

    it('names a cancelled flow, a full limit and a budget that is used up', async () => {
      const { backend } = await open({ partitions: 1 })
      const flow = await startFlow(backend, { nodes: ['a'] })
      await backend.cancelFlow(flow.flowId, 'flow_only', 'indefinite')
      await claimAll(backend)
      expect((await kinds(backend, flow.id('a')))[0]).toBe('flow')

      await backend.setLimit('api', { concurrency: 1 })
      await submitAndClaim(backend, { limit: 'api' })
      const second = await submit(backend, { limit: 'api' })
      await claimAll(backend)
      expect((await why(backend, second)).reasons).toMatchObject([{ kind: 'limit', name: 'api' }])

      const { budgetId } = await backend.createBudget({
        dimensions: { tokens: { hard: 1 } },
        onHardLimit: 'withhold',
      })
      const spender = await submitAndClaim(backend, { lane: 'spend', budgets: [budgetId] })
      await backend.reportUsage(spender.handle, budgetId, { custom: { tokens: 1 } })
      const third = await submit(backend, { lane: 'spend', budgets: [budgetId] })
      await claimAll(backend, { lane: 'spend' })
      expect((await why(backend, third)).reasons).toEqual([{ kind: 'budget', budgets: [budgetId] }])
    })
  })
}
