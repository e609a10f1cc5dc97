// The drainer: work that was left for later is done at once, by whoever hears of it.
import { assert, expect, onTestFinished, test } from 'vitest'
import { drainLoop } from '../../src/actors/drainer.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { startFlow } from '../support/flows.ts'

const notTold = (error: unknown) => assert.fail(String(error))
const drained = { done: 1, left: 0, stuck: 0, why: undefined }

test('drains what is there and what is told, everything after a gap, until stopped', async () => {
  const control = new AbortController()
  const calls: number[] = []
  const told: ((partition: number | undefined) => void)[] = []
  const isOver = new Promise<void>((resolve) => {
    const backend = {
      partitions: [0, 1],
      async drain(partition: number) {
        calls.push(partition)
        // The first look of partition 1 leaves something.
        if (calls.length === 2) return { ...drained, left: 5 }
        if (calls.length === 3) setImmediate(() => told[0]?.(0))
        if (calls.length === 4) setImmediate(() => told[0]?.(undefined))
        if (calls.length === 6) setImmediate(() => control.abort())
        return drained
      },
      async onBacklog(listener: (partition: number | undefined) => void) {
        told.push(listener)
        return resolve
      },
    }
    void drainLoop(backend, notTold)(control.signal)
  })
  await isOver
  expect(calls).toEqual([0, 1, 1, 0, 0, 1])
})

test('ends a fan-out of thousands that was cancelled, without a sweep', async () => {
  const backend = createBackend(await openEmbeddedStore())
  const control = new AbortController()
  onTestFinished(() => backend.close())
  const flow = await startFlow(backend, { nodes: ['root'], finish: false })
  for (let part = 0; part < 20; part++) {
    const names = Array.from({ length: 250 }, (_, at) => `${part}-${at}`)
    await backend.applyGraph(flow.flowId, {
      members: names.map((name) => flow.member(name)),
      edges: names.map((name) => flow.edge(`root>${name}`)),
    })
  }
  await backend.cancelFlow(flow.flowId, 'cancel_all', 'no_wait')
  const { unfinished } = await flow.describe()
  expect(unfinished).toBeGreaterThan(4000)
  const { drain } = backend
  const isDone = new Promise<void>((resolve) => {
    backend.drain = async (...args) => {
      const outcome = await drain(...args)
      if (outcome.left === 0) resolve()
      return outcome
    }
  })
  const loop = drainLoop(backend, notTold)(control.signal)
  await isDone
  expect(await flow.describe()).toMatchObject({ state: 'cancelled', unfinished: 0 })
  control.abort()
  await loop
})
