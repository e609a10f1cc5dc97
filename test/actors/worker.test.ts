// The worker as a machine: working, draining, stopped; and what an inspector sees of an engine.
import { beforeEach, describe, expect, test } from 'vitest'
import { createActor, type InspectionEvent, waitFor } from 'xstate'
import { AttemptPool, type Perform } from '../../src/actors/attempt-pool.ts'
import { engineMachine } from '../../src/actors/engine.ts'
import { type WorkerInput, workerMachine } from '../../src/actors/worker.ts'
import type { EngineBackend } from '../../src/index.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { gate } from '../engine/staged.ts'
import { stateOf, submit } from '../support/executions.ts'

let backend: EngineBackend
let faults: unknown[]

beforeEach(async () => {
  backend = createBackend(await openEmbeddedStore())
  faults = []
  return () => backend.close()
})

function workerInput(perform: Perform, overrides: Partial<WorkerInput> = {}): WorkerInput {
  const onError = (error: unknown) => void faults.push(error)
  return {
    backend,
    pool: new AttemptPool({ backend, perform, concurrency: 1, onError }),
    worker: 'worker',
    lanes: ['lane'],
    capabilities: [],
    leaseMs: 30_000,
    onError,
    ...overrides,
  }
}

/** A backend that has nothing to tell. */
const deaf = { onLeaseLost: async () => () => undefined }

const completing: Perform = async () => ({ outcome: 'completed', payload: undefined })

describe('the worker machine', () => {
  test('works, drains without work to wait for, and is stopped', async () => {
    const actor = createActor(workerMachine, { input: workerInput(completing) }).start()
    expect(actor.getSnapshot().matches({ open: 'working' })).toBe(true)
    actor.send({ type: 'stop', graceMs: 1000 })
    expect(actor.getSnapshot().matches({ open: 'draining' })).toBe(true)
    await waitFor(actor, (snapshot) => snapshot.status === 'done')
    expect(actor.getSnapshot().value).toBe('stopped')
    expect(faults).toEqual([])
  })

  test('drains for as long as something runs', async () => {
    const begun = gate()
    const over = gate()
    const perform: Perform = async () => {
      begun.open()
      await over.passed
      return { outcome: 'completed', payload: undefined }
    }
    const actor = createActor(workerMachine, { input: workerInput(perform) }).start()
    const id = await submit(backend)
    await begun.passed
    actor.send({ type: 'stop', graceMs: 60_000 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(actor.getSnapshot().matches({ open: 'draining' })).toBe(true)
    over.open()
    await waitFor(actor, (snapshot) => snapshot.status === 'done')
    expect(await stateOf(backend, id)).toBe('terminal.completed')
  })

  test('hands back what still runs when the grace is over', async () => {
    const begun = gate<AbortSignal>()
    const perform: Perform = (_claimed, signal) => {
      begun.open(signal)
      return new Promise(() => undefined)
    }
    const actor = createActor(workerMachine, { input: workerInput(perform) }).start()
    const id = await submit(backend)
    const signal = await begun.passed
    actor.send({ type: 'stop', graceMs: 10 })
    await waitFor(actor, (snapshot) => snapshot.status === 'done')
    expect(signal.aborted).toBe(true)
    expect(await stateOf(backend, id)).toBe('runnable.resumed')
  })

  test('keeps the shortest grace that it was told', async () => {
    const begun = gate()
    const perform: Perform = () => {
      begun.open()
      return new Promise(() => undefined)
    }
    const actor = createActor(workerMachine, { input: workerInput(perform) }).start()
    await submit(backend)
    await begun.passed
    actor.send({ type: 'stop', graceMs: 60_000 })
    actor.send({ type: 'stop', graceMs: 10 })
    actor.send({ type: 'stop', graceMs: 60_000 })
    expect(actor.getSnapshot().matches({ open: 'draining' })).toBe(true)
    await waitFor(actor, (snapshot) => snapshot.status === 'done')
  })

  test('goes on working when a claim crashes', async () => {
    const told = gate<unknown>()
    let crashes = 2
    const claim: EngineBackend['claim'] = async (...args) => {
      crashes -= 1
      if (crashes >= 0) throw new Error(`crash ${crashes}`)
      return backend.claim(...args)
    }
    const done = gate()
    const perform: Perform = async () => {
      done.open()
      return { outcome: 'completed', payload: undefined }
    }
    const input = workerInput(perform, { backend: { ...deaf, claim }, onError: told.open })
    const actor = createActor(workerMachine, { input }).start()
    expect(await told.passed).toMatchObject({ message: 'crash 1' })
    expect(actor.getSnapshot().matches({ open: 'working' })).toBe(true)
    await submit(backend)
    await done.passed
    actor.stop()
  })
})

describe('the engine machine', () => {
  test('shows its sweeper, its workers and their loops to an inspector', async () => {
    const seen: InspectionEvent[] = []
    const actor = createActor(engineMachine, {
      input: { backend, onError: (error) => void faults.push(error) },
      inspect: (event) => void seen.push(event),
    }).start()
    actor.send({ type: 'work', id: 'worker-1', input: workerInput(completing) })
    const ids = seen.filter(({ type }) => type === '@xstate.actor').map((one) => idOf(one))
    expect(ids).toEqual(expect.arrayContaining(['sweeper', 'worker-1']))
    // The sweeper, the worker, and each of its loops under a supervisor of its own.
    expect(ids.length).toBeGreaterThanOrEqual(6)
    expect(actor.getSnapshot().children['worker-1']?.getSnapshot().status).toBe('active')
    actor.send({ type: 'close' })
    expect(actor.getSnapshot()).toMatchObject({ value: 'closed', status: 'done' })
    expect(faults).toEqual([])
  })

  test('stops everything below it when it is closed', async () => {
    const signals: AbortSignal[] = []
    const claim: EngineBackend['claim'] = (_lanes, _capabilities, { signal }) => {
      signals.push(signal as AbortSignal)
      claimed.open()
      return new Promise(() => undefined)
    }
    const claimed = gate()
    const actor = createActor(engineMachine, {
      input: { backend, onError: (error) => void faults.push(error) },
    }).start()
    const input = workerInput(completing, { backend: { ...deaf, claim } })
    actor.send({ type: 'work', id: 'worker-1', input })
    await claimed.passed
    actor.send({ type: 'close' })
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })
})

function idOf({ actorRef }: InspectionEvent): string {
  return 'id' in actorRef ? String(actorRef.id) : ''
}
