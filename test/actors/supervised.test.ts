// The supervisor of one loop: it reports crashes and starts the loop again after a growing rest.
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type ActorRefFrom, createActor, SimulatedClock, waitFor } from 'xstate'
import { type Loop, supervisedMachine } from '../../src/actors/supervised.ts'

/** A loop that the test ends or breaks, run after run. */
class DirectedLoop {
  readonly runs: { end(): void; crash(error: unknown): void; signal: AbortSignal }[] = []
  readonly loop: Loop = (signal) =>
    new Promise((end, crash) => void this.runs.push({ end: () => end(), crash, signal }))
}

let directed: DirectedLoop
let reported: unknown[]
let clock: SimulatedClock
let actor: ActorRefFrom<typeof supervisedMachine>

beforeEach(() => {
  directed = new DirectedLoop()
  reported = []
  clock = new SimulatedClock()
  const onError = (error: unknown) => void reported.push(error)
  actor = createActor(supervisedMachine, { clock, input: { loop: directed.loop, onError } })
})

async function crash(error: unknown): Promise<void> {
  directed.runs.at(-1)?.crash(error)
  await waitFor(actor, (snapshot) => snapshot.matches('resting'))
}

describe('a supervised loop', () => {
  test('runs once it is started, and not twice', () => {
    expect(directed.runs).toEqual([])
    actor.start()
    expect(actor.getSnapshot().value).toBe('running')
    clock.increment(3_600_000)
    expect(directed.runs).toHaveLength(1)
  })

  test('is reported when it crashes and runs again after a rest', async () => {
    actor.start()
    const error = new Error('crash')
    await crash(error)
    expect(reported).toEqual([error])
    expect(directed.runs).toHaveLength(1)
    clock.increment(99)
    expect(actor.getSnapshot().value).toBe('resting')
    clock.increment(1)
    expect(actor.getSnapshot().value).toBe('running')
    expect(directed.runs).toHaveLength(2)
  })

  test('rests twice as long after each crash, up to five seconds', async () => {
    actor.start()
    const rests = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]
    for (const [index, restMs] of rests.entries()) {
      await crash(index)
      clock.increment(restMs - 1)
      expect(actor.getSnapshot().value, `rest ${index}`).toBe('resting')
      clock.increment(1)
      expect(actor.getSnapshot().value, `rest ${index}`).toBe('running')
    }
    expect(reported).toEqual([...rests.keys()])
    expect(directed.runs).toHaveLength(rests.length + 1)
  })

  test('that crashes before its first wait is supervised all the same', async () => {
    const loop: Loop = () => {
      throw new Error('at once')
    }
    const onError = vi.fn()
    const hasty = createActor(supervisedMachine, { clock, input: { loop, onError } }).start()
    await waitFor(hasty, (snapshot) => snapshot.matches('resting'))
    expect(onError).toHaveBeenCalledWith(expect.objectContaining({ message: 'at once' }))
    hasty.stop()
  })

  test('that ends by itself is over', async () => {
    actor.start()
    directed.runs[0]?.end()
    await waitFor(actor, (snapshot) => snapshot.status === 'done')
    expect(actor.getSnapshot().value).toBe('stopped')
    clock.increment(10_000)
    expect(directed.runs).toHaveLength(1)
    expect(reported).toEqual([])
  })

  test('has its signal fired when it is told to stop, and is not heard after that', async () => {
    actor.start()
    actor.send({ type: 'stop' })
    expect(actor.getSnapshot()).toMatchObject({ value: 'stopped', status: 'done' })
    expect(directed.runs[0]?.signal.aborted).toBe(true)
    directed.runs[0]?.crash(new Error('late'))
    await Promise.resolve()
    expect(reported).toEqual([])
  })

  test('has its signal fired when its supervisor is stopped from above', () => {
    actor.start()
    actor.stop()
    expect(directed.runs[0]?.signal.aborted).toBe(true)
  })

  test('does not run again when it is stopped while it rests', async () => {
    actor.start()
    await crash('one')
    actor.send({ type: 'stop' })
    clock.increment(10_000)
    expect(actor.getSnapshot().status).toBe('done')
    expect(directed.runs).toHaveLength(1)
  })
})
