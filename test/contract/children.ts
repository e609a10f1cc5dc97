// Parents that add children while they run, and give their lease back until these have ended.
import { describe, expect, it } from 'vitest'
import type { ClaimedExecution, EngineBackend, FlowId } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimAll,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import { FlowUnderTest, startFlow } from '../support/flows.ts'

interface Parent {
  readonly flow: FlowUnderTest
  readonly claim: ClaimedExecution
  /** Children that are held, by name. */
  readonly held: Map<string, ClaimedExecution>
}

/** A running parent with a flow of its own and children in another lane. */
async function spawn(backend: EngineBackend, names: readonly string[]): Promise<Parent> {
  const claim = await submitAndClaim(backend)
  const root = claim.executionId
  const { flowId } = await backend.createFlow({ kind: 'parent', completion: 'root', root })
  const parent = { flow: new FlowUnderTest(backend, flowId), claim, held: new Map() }
  await addChildren(parent, names)
  return parent
}

function addChildren({ flow, claim }: Parent, names: readonly string[]) {
  return flow.backend.applyGraph(flow.flowId, {
    parent: claim.handle,
    members: names.map((name) => flow.member(name, { lane: 'children' })),
    edges: names.map((name) => ({ upstream: flow.id(name), downstream: claim.executionId, name })),
    finish: true,
  })
}

async function endChild(
  { flow: { backend }, held }: Parent,
  name: string,
  ending: 'completes' | 'fails' = 'completes',
): Promise<void> {
  for (const claim of await claimAll(backend, { lane: 'children' })) held.set(claim.task, claim)
  const { handle } = held.get(name) ?? expect.fail(`${name} cannot run`)
  if (ending === 'completes') await backend.complete(handle, bytes(name))
  else await backend.fail(handle, { message: name }, 'permanent')
}

const stateOf = async (backend: EngineBackend, { claim }: Parent) =>
  (await describeOne(backend, claim.executionId)).state

const outcomes = async (backend: EngineBackend, { claim }: Parent) =>
  (await backend.readInputs(claim.executionId, 0, 100)).items.map(
    ({ name, publicState, ending }) => [
      name,
      publicState,
      ending === undefined ? undefined : Buffer.from(ending).toString(),
    ],
  )

export function describeChildren(open: Open): void {
  describe('waitChildren', () => {
    it('parks the parent, which continues its attempt when all children have ended', async () => {
      const { backend } = await open()
      const parent = await spawn(backend, ['one', 'two'])
      expect(await backend.waitChildren(parent.claim.handle)).toEqual({
        outcome: 'waiting',
        state: 'waitingChildren',
        replayed: false,
      })
      await endChild(parent, 'one')
      expect(await stateOf(backend, parent)).toBe('waitingChildren')
      await endChild(parent, 'two')
      const again = await claimOne(backend)
      expect(again).toMatchObject({ executionId: parent.claim.executionId, attempt: 0 })
      expect(again.handle.kind).toBe('resumed')
      expect(again.epoch).toBeGreaterThan(parent.claim.epoch)
      expect(await outcomes(backend, parent)).toEqual([
        ['one', 'completed', 'one'],
        ['two', 'completed', 'two'],
      ])
      await backend.complete(again.handle)
      expect(await parent.flow.describe()).toMatchObject({ state: 'completed', members: 3 })
    })

    it('hands a parent back at once whose children had ended before (F-C9)', async () => {
      const { backend } = await open()
      const parent = await spawn(backend, ['one'])
      await endChild(parent, 'one')
      expect(await stateOf(backend, parent)).toBe('leased.held')
      expect(await backend.waitChildren(parent.claim.handle)).toMatchObject({
        state: 'runnable.resumed',
      })
      expect((await claimOne(backend)).attempt).toBe(0)
    })

    it('hands a parent back at once when more have told of their end than it saw', async () => {
      const { backend } = await open()
      const parent = await spawn(backend, ['one', 'two', 'three'])
      await backend.waitChildren(parent.claim.handle, { policy: 'any' })
      await endChild(parent, 'one')
      const again = await claimOne(backend)
      // It looked before the second one ended: a new round would wait for the third alone.
      await endChild(parent, 'two')
      const join = { policy: 'quorum', k: 2 } as const
      expect(await backend.waitChildren(again.handle, join, 1)).toMatchObject({
        state: 'runnable.resumed',
      })
      const last = await claimOne(backend)
      await backend.waitChildren(last.handle, { policy: 'any' }, 2)
      expect(await stateOf(backend, parent)).toBe('waitingChildren')
      await endChild(parent, 'three')
      await backend.complete((await claimOne(backend)).handle)
    })

    it('does not shorten how long the parent is kept', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const day = 86_400_000
      const claim = await submitAndClaim(backend, { retentionMs: 3 * day })
      const root = claim.executionId
      const { flowId } = await backend.createFlow({ kind: 'parent', completion: 'root', root })
      const parent = { flow: new FlowUnderTest(backend, flowId), claim, held: new Map() }
      await addChildren(parent, ['child'])
      await endChild(parent, 'child')
      await backend.complete(claim.handle)
      await clock.advance(3 * day - 1)
      await sweepAll(backend)
      expect(await stateOf(backend, parent)).toBe('terminal.completed')
      await clock.advance(1)
      await sweepAll(backend)
      expect(await backend.describeExecution(root)).toBeUndefined()
    })

    it('is for children alone, not for what the parent came after', async () => {
      const { backend } = await open()
      const flow = await startFlow(backend, {
        nodes: ['first', 'late', 'parent'],
        edges: ['first>parent', 'late>parent'],
        joins: { parent: { policy: 'any' } },
      })
      await flow.run({ first: 'completes', late: 'holds' })
      const claim = (await flow.claim()).get('parent') ?? expect.fail('it cannot run')
      const parent = { flow, claim, held: new Map() }
      await addChildren(parent, ['child'])
      await backend.waitChildren(claim.handle)
      await endChild(parent, 'child')
      const again = await claimOne(backend)
      expect(again.executionId).toBe(claim.executionId)
      // Nothing is left to wait for.
      await backend.waitChildren(again.handle, undefined, 1)
      expect(await stateOf(backend, parent)).toBe('runnable.resumed')
    })

    it('hands a parent back at once that has no children', async () => {
      const { backend } = await open()
      const { handle } = await submitAndClaim(backend)
      expect(await backend.waitChildren(handle)).toMatchObject({ state: 'runnable.resumed' })
    })

    it('never ends a running parent because of a child; it sees what failed', async () => {
      const { backend } = await open()
      const parent = await spawn(backend, ['one', 'two'])
      await endChild(parent, 'one', 'fails')
      expect(await stateOf(backend, parent)).toBe('leased.held')
      await backend.waitChildren(parent.claim.handle)
      // It is told once, when all are known.
      expect(await stateOf(backend, parent)).toBe('waitingChildren')
      await endChild(parent, 'two')
      const again = await claimOne(backend)
      expect((await outcomes(backend, parent)).map((row) => row.slice(0, 2))).toEqual([
        ['one', 'failed'],
        ['two', 'completed'],
      ])
      await backend.complete(again.handle)
      expect(await parent.flow.describe()).toMatchObject({ state: 'completed' })
    })

    it('can be told at the first failure, or fail with it', async () => {
      const { backend } = await open()
      const first = await spawn(backend, ['one', 'two'])
      await backend.waitChildren(first.claim.handle, { policy: 'all', collect: 'first' })
      await endChild(first, 'one', 'fails')
      expect(await stateOf(backend, first)).toBe('runnable.resumed')
      await backend.cancelFlow(first.flow.flowId, 'cancel_all', 'indefinite')
      const second = await spawn(backend, ['three'])
      await backend.waitChildren(second.claim.handle, { policy: 'all', impossible: 'fail' })
      await endChild(second, 'three', 'fails')
      expect(await describeOne(backend, second.claim.executionId)).toMatchObject({
        state: 'terminal.failed',
        reason: 'dependency_failed',
      })
    })

    it('counts only what came after the last time', async () => {
      const { backend } = await open()
      const parent = await spawn(backend, ['one'])
      await endChild(parent, 'one', 'fails')
      await backend.waitChildren(parent.claim.handle)
      const claim = await claimOne(backend)
      const next = { ...parent, claim }
      await addChildren(next, ['two', 'three'])
      await backend.waitChildren(claim.handle, { policy: 'any' })
      expect(await stateOf(backend, next)).toBe('waitingChildren')
      await endChild(next, 'two')
      expect(await stateOf(backend, next)).toBe('runnable.resumed')
    })

    it('is answered alike when it is repeated, and keeps the clock of the attempt', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const parent = await spawn(backend, ['one'])
      const wait = () => backend.waitChildren(parent.claim.handle)
      const first = await wait()
      expect(await withoutTrace(opened, wait)).toEqual({ ...first, replayed: true })
      const other = () => backend.waitChildren(parent.claim.handle, { policy: 'any' })
      await refusedWithoutTrace(opened, other, 'already_settled')
      await clock.advance(100_000)
      await sweepAll(backend)
      expect(await stateOf(backend, parent)).toBe('waitingChildren')
    })

    it('refuses a quorum that its children cannot reach', async () => {
      const opened = await open()
      const { backend } = opened
      const parent = await spawn(backend, ['one'])
      const wait = () => backend.waitChildren(parent.claim.handle, { policy: 'quorum', k: 2 })
      await refusedWithoutTrace(opened, wait, 'quorum_unreachable')
    })

    it('lets only the holder of the lease add children, and to one flow only', async () => {
      const { backend } = await open()
      const parent = await spawn(backend, ['one'])
      const { flowId } = await otherFlow(backend, parent.claim.executionId)
      const elsewhere = new FlowUnderTest(backend, flowId)
      await refusal(
        backend.applyGraph(flowId, {
          parent: parent.claim.handle,
          members: [elsewhere.member('x')],
        }),
        'execution_in_other_flow',
      )
      await backend.waitChildren(parent.claim.handle)
      await refusal(addChildren(parent, ['late']), 'execution_not_active')
    })
  })
}

/** A flow in the partition of an execution. */
function otherFlow(backend: EngineBackend, root: string): Promise<{ flowId: FlowId }> {
  return backend.createFlow({ kind: 'other', root })
}
