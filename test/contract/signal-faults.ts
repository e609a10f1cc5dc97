// Lost calls and lost answers: whoever repeats gets there, once, and no wake-up is lost.
import { describe, expect, it } from 'vitest'
import { isEngineError } from '../../src/errors.ts'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { bytes, describeOne } from '../support/executions.ts'
import { FaultyStore, persist } from '../support/faulty-store.ts'
import { Random } from '../support/random.ts'
import { idOf, openSigning } from '../support/suspensions.ts'

type Backends = Readonly<Record<'worker' | 'sender' | 'operator', EngineBackend>>

/** One execution that waits three times: for an early signal, for a late one, for an operator. */
async function live({ worker, sender, operator }: Backends, lane: string): Promise<string> {
  const submission = { lane, task: 'task', input: bytes('input'), idempotencyKey: lane }
  const { executionId } = await persist(() => worker.submit(submission))
  const claim = async (turn: string) => {
    const policy = { worker: 'worker', leaseId: `${lane}.${turn}` }
    for (;;) {
      const [claimed] = await persist(() => worker.claim(lane, [], policy))
      if (claimed !== undefined) return claimed
    }
  }
  const signal = (token: string, name: string) =>
    persist(() => sender.deliverSignal({ token, name, idempotencyKey: name }))
  const first = await claim('first')
  const { token } = await persist(() =>
    worker.createWaitpoint(first.handle, 'early', undefined, { waitpointId: idOf('early') }),
  )
  const [suspended] = await Promise.all([
    persist(() => worker.suspend(first.handle, [{ token }])),
    signal(token, 'early'),
  ])
  const second = suspended.outcome === 'suspended' ? await claim('second') : first
  const early = await persist(() => worker.observeSignals(second.handle))
  expect(early.map(({ name }) => name)).toEqual(['early'])
  const late = await persist(() => worker.suspend(second.handle, [{ key: 'late' }]))
  if (late.outcome !== 'suspended') expect.fail('nothing was sent yet')
  await signal(late.waitpoints[0]!.token, 'late')
  const third = await claim('third')
  expect(await persist(() => worker.observeSignals(third.handle))).toMatchObject([{ name: 'late' }])
  await persist(() =>
    worker.suspend(third.handle, [{ key: 'never' }], { condition: { kind: 'operator' } }),
  )
  await persist(() => operator.resumeExecution(executionId, { resumeId: idOf(lane) }))
  const { handle } = await claim('fourth')
  await persist(() => worker.complete(handle))
  return executionId
}

async function faulty({ store, peer }: OpenedBackend, seed: string, percent: number) {
  const stores = [store, (await peer()).store, store].map(
    (under, at) => new FaultyStore(under, new Random(`${seed} ${at}`), percent),
  )
  const [worker, sender, operator] = stores.map(createBackend)
  return { stores, backends: { worker, sender, operator } as Backends }
}

export function describeSignalFaults(open: Open): void {
  describe('with a network that loses', () => {
    it.each([10, 30, 60])(
      '%i in 100 calls and as many answers, all that waits goes on (S-C15)',
      async (percent) => {
        const opened = await openSigning(open, { partitions: 1 })
        const { stores, backends } = await faulty(opened, `faults ${percent}`, percent)
        const lanes = Array.from({ length: 12 }, (_, at) => `lane-${at}`)
        const ids = await Promise.all(lanes.map((lane) => live(backends, lane)))
        for (const id of ids) {
          expect(await describeOne(opened.backend, id)).toMatchObject({
            state: 'terminal.completed',
            totalAttempts: 1,
            retries: 0,
            reclaims: 0,
          })
          const { items } = await opened.backend.listSignals(id, 0, 10)
          expect(items.map(({ name }) => name)).toEqual(['early', 'late'])
          const waitpoints = (await opened.backend.listWaitpoints(id)).items
          expect(waitpoints.map(({ state }) => state)).toEqual(['closed', 'closed', 'closed'])
        }
        const lost = stores.map((store) => store.lost.calls + store.lost.answers)
        expect(Math.min(...lost)).toBeGreaterThan(0)
      },
    )

    it('every answer once, every call is answered alike the second time', async () => {
      const opened = await openSigning(open)
      const { backend, store } = opened
      const backends = { worker: backend, sender: backend, operator: backend }
      await live(backends, 'lane')
      // What was asked is asked again, from the last to the first: nothing may change by it.
      const before = await opened.dump()
      const calls = store.calls.filter(({ name }) => name.startsWith('signal.'))
      for (const { partition, name, args } of calls.toReversed()) {
        const answer = await store.call(partition, name, args as never)
        if (name === 'signal.deliver') expect(answer).toMatchObject({ outcome: 'duplicate' })
      }
      for (const { partition, name, args } of store.calls.filter(({ name }) =>
        ['execution.suspend', 'waitpoint.create', 'execution.resume'].includes(name),
      )) {
        await store.call(partition, name, args as never).catch((error: unknown) => {
          if (!isEngineError(error)) throw error
        })
      }
      expect(await opened.dump()).toEqual(before)
    })
  })
}
