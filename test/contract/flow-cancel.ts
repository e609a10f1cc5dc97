// Cancelling flows by every policy: what runs on, what ends, and that nothing starts any more.
import { describe, expect, it } from 'vitest'
import type { CancelFlowPolicy } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  claimAll,
  describeOne,
  frame,
  refusal,
  submit,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import { type FlowUnderTest, startFlow } from '../support/flows.ts'

const retry = { attempts: 5, delayMs: 1 }

/** A member in each situation that cancelling treats differently. */
async function everySituation({ backend, clock }: OpenedBackend): Promise<FlowUnderTest> {
  const flow = await startFlow(backend, {
    nodes: ['held', 'lost', 'suspended', 'done'],
    member: { retry },
    finish: false,
  })
  const claims = await flow.claim()
  const handle = (name: string) => claims.get(name)?.handle ?? expect.fail(name)
  await backend.suspend(handle('suspended'), [{ key: 'approval' }])
  await backend.complete(handle('done'))
  await backend.revokeLease(flow.id('lost'))
  await backend.applyGraph(flow.flowId, {
    members: [
      flow.member('ready'),
      flow.member('delayed', { delayMs: 5000 }),
      flow.member('after'),
    ],
    edges: [flow.edge('held>after')],
    finish: true,
  })
  await clock.advance(1)
  return flow
}

const names = ['held', 'lost', 'suspended', 'done', 'ready', 'delayed', 'after']

const becomes: Readonly<Record<CancelFlowPolicy, Readonly<Record<string, string>>>> = {
  flow_only: {
    held: 'active',
    lost: 'active',
    suspended: 'suspended',
    done: 'completed',
    ready: 'waiting',
    delayed: 'delayed',
    after: 'waiting_children',
  },
  cancel_pending: {
    held: 'active',
    lost: 'cancelled',
    suspended: 'cancelled',
    done: 'completed',
    ready: 'cancelled',
    delayed: 'cancelled',
    after: 'cancelled',
  },
  cancel_all: {
    held: 'cancelled',
    lost: 'cancelled',
    suspended: 'cancelled',
    done: 'completed',
    ready: 'cancelled',
    delayed: 'cancelled',
    after: 'cancelled',
  },
}

const policies = Object.keys(becomes) as CancelFlowPolicy[]

export function describeFlowCancel(open: Open): void {
  describe('cancelFlow', () => {
    it.each(policies)('%s does to members what it says, and lets none start', async (policy) => {
      const opened = await open()
      const { backend, clock } = opened
      const flow = await everySituation(opened)
      const before = await flow.describe()
      expect(await backend.cancelFlow(flow.flowId, policy, 'indefinite', 'enough')).toMatchObject({
        outcome: 'cancelled',
        policy,
        replayed: false,
      })
      expect(await flow.states(...names)).toEqual(becomes[policy])
      expect(await flow.describe()).toMatchObject({
        state: 'cancelled',
        reason: 'enough',
        members: before.members,
        cancelling: false,
      })
      await clock.advance(10_000)
      await sweepAll(backend)
      expect(await claimAll(backend)).toEqual([])
      const late = { members: [flow.member('late')] }
      await refusal(backend.applyGraph(flow.flowId, late), 'flow_ended')
    })

    it('cancels a parent that then waits, whatever came of its children', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a'], finish: false })
      const { handle: parent } = (await flow.claim()).get('a') ?? expect.fail('it cannot run')
      const change = { members: [flow.member('child')], edges: [flow.edge('child>a')], parent }
      await backend.applyGraph(flow.flowId, change)
      await backend.cancelFlow(flow.flowId, 'cancel_pending', 'no_wait', 'enough')
      await backend.waitChildren(parent, { policy: 'all', collect: 'first', impossible: 'fail' })
      expect(await flow.states('a', 'child')).toEqual({ a: 'cancelled', child: 'cancelled' })
    })

    it('under cancel_pending lets the running end, but never retries them', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['a', 'b', 'c'],
        member: { retry },
      })
      const claims = await flow.claim()
      const handle = (name: string) => claims.get(name)?.handle ?? expect.fail(name)
      await backend.cancelFlow(flow.flowId, 'cancel_pending', 'no_wait')
      await backend.complete(handle('a'))
      expect(await backend.fail(handle('b'), { message: 'b' }, 'transient')).toMatchObject({
        outcome: 'failed',
      })
      await backend.delay(handle('c'), Date.now() + 1000)
      expect(await flow.states('a', 'b', 'c')).toEqual({
        a: 'completed',
        b: 'failed',
        c: 'cancelled',
      })
      expect(await flow.describe()).toMatchObject({ state: 'cancelled', unfinished: 0 })
    })

    it('grows wider when asked, never narrower, and is answered alike when repeated', async () => {
      const opened = await open()
      const { backend } = opened
      const flow = await startFlow(backend, { nodes: ['a', 'b'], edges: ['a>b'] })
      await flow.run({ a: 'holds' })
      const cancel = (policy: CancelFlowPolicy) => () =>
        backend.cancelFlow(flow.flowId, policy, 'indefinite')
      await cancel('cancel_pending')()
      expect(await withoutTrace(opened, cancel('flow_only'))).toMatchObject({
        policy: 'cancel_pending',
        replayed: true,
        unfinished: 1,
      })
      expect(await cancel('cancel_all')()).toMatchObject({ policy: 'cancel_all', unfinished: 0 })
      expect(await flow.states('a', 'b')).toEqual({ a: 'cancelled', b: 'cancelled' })
    })

    it('says of a flow that has ended how it ended', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a'] })
      await flow.run({ a: 'completes' })
      expect(await backend.cancelFlow(flow.flowId, 'cancel_all', 'no_wait')).toEqual({
        outcome: 'already_ended',
        state: 'completed',
      })
      const nobody = `${flow.flowId.split('-')[0]}-${'0'.repeat(26)}`
      await refusal(backend.cancelFlow(nobody, 'cancel_all', 'no_wait'), 'flow_not_found')
      const odd = 'banana' as CancelFlowPolicy
      await refusal(backend.cancelFlow(flow.flowId, odd, 'no_wait'), 'invalid_input')
    })

    it('of many members is scheduled without a wait, and anybody ends it (F-C11)', async () => {
      const { backend, peer } = await open()
      const names = Array.from({ length: 200 }, (_, at) => `n${at}`)
      const flow = await startFlow(backend, { nodes: names })
      expect(await backend.cancelFlow(flow.flowId, 'cancel_all', 'no_wait')).toMatchObject({
        outcome: 'scheduled',
      })
      // Whoever claims meanwhile gets nothing of it.
      expect(await claimAll(backend)).toEqual([])
      const other = await peer()
      await sweepAll(other.backend)
      await sweepAll(other.backend)
      expect(await flow.describe()).toMatchObject({ unfinished: 0, cancelling: false })
    })

    it('refuses frames of a member that the cancelling has yet to reach', async () => {
      const { backend } = await open()
      const names = Array.from({ length: 200 }, (_, at) => `n${at}`)
      const flow = await startFlow(backend, { nodes: names })
      const claims = await flow.claim()
      await backend.cancelFlow(flow.flowId, 'cancel_all', 'no_wait')
      for (const { handle } of claims.values()) {
        await refusal(backend.appendFrame(handle, frame('late')), 'execution_not_active')
      }
    })

    it('reaches everybody though a narrower cancelling is still on its way', async () => {
      const { backend } = await open({ partitions: 1 })
      const names = Array.from({ length: 200 }, (_, at) => `n${at}`)
      const flow = await startFlow(backend, { nodes: names })
      await backend.cancelFlow(flow.flowId, 'flow_only', 'no_wait')
      // It is near the end by now, and does not do again what it has passed.
      for (let round = 0; round < 2; round++) await backend.sweep(0)
      const wider = await backend.cancelFlow(flow.flowId, 'cancel_all', 'indefinite')
      expect(wider).toMatchObject({ outcome: 'cancelled', unfinished: 0 })
    })

    it('gives the slots of those that it cancels to others that wait for them', async () => {
      const { backend } = await open({ partitions: 1 })
      await backend.setLimit('api', { concurrency: 1 })
      const flow = await startFlow(backend, { nodes: [], flow: { failure: 'fail_fast' } })
      await backend.applyGraph(flow.flowId, {
        members: [flow.member('limited', { limit: 'api' }), flow.member('failing')],
        finish: true,
      })
      const claims = await flow.claim()
      const waiting = await submit(backend, { limit: 'api' })
      expect(await claimAll(backend)).toEqual([])
      const { handle } = claims.get('failing') ?? expect.fail('it cannot run')
      await backend.fail(handle, { message: 'no' }, 'permanent')
      expect(await flow.states('limited')).toEqual({ limited: 'cancelled' })
      expect(await claimAll(backend)).toMatchObject([{ executionId: waiting }])
    })

    it('leaves a stranger alone who works in the same lane', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, { nodes: ['a'] })
      const { executionId } = await backend.submit({
        lane: 'lane',
        task: 'stranger',
        input: new Uint8Array(),
      })
      await backend.cancelFlow(flow.flowId, 'flow_only', 'no_wait')
      const claimed = await claimAll(backend)
      expect(claimed.map((claim) => claim.executionId)).toEqual([executionId])
      expect(await describeOne(backend, flow.id('a'))).toMatchObject({
        state: 'runnable.blocked',
        withheldBy: 'flow',
      })
    })
  })
}
