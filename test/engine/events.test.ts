// Iterating over what happens: from now, from the start, from a cursor; and when it ends.
import { describe, expect, test } from 'vitest'
import { type Engine, type FeedEvent, type FeedItem, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'

const hello = task({ name: 'hello', run: () => 'hello' })
const never = task({ name: 'never', run: () => undefined })

/** The next so many items, while the iteration goes on. */
async function take(items: AsyncIterator<FeedItem>, count: number): Promise<FeedEvent[]> {
  const taken: FeedEvent[] = []
  while (taken.length < count) {
    const { value, done } = await items.next()
    if (done === true) throw new Error(`ended after ${taken.length} events`)
    if (value.event === 'gap') throw new Error('events were missed')
    taken.push(value)
  }
  return taken
}

const names = (events: readonly FeedEvent[]) => events.map(({ event }) => event)
const ids = (events: readonly FeedEvent[]) => events.map(({ executionId }) => executionId)

describe.each(kinds)('engine.events() on %s', (kind) => {
  const { open } = useEngines(kind)

  test('tells what happens from now on', async () => {
    const engine = await open()
    await engine.submit(never, undefined)
    const events = engine.events()
    const execution = await engine.submit(hello, undefined)
    const worker = await engine.work([hello])
    const taken = await take(events, 3)
    expect(names(taken)).toEqual(['submit', 'claim', 'complete'])
    expect(new Set(ids(taken))).toEqual(new Set([execution.id]))
    expect(taken[0]).toMatchObject({ by: 'submitter', worker: undefined, attempt: undefined })
    expect(taken[2]).toMatchObject({
      by: 'worker',
      worker: worker.name,
      state: 'terminal.completed',
      publicState: 'completed',
      attempt: 0,
    })
  })

  test('tells all that is kept from the start', async () => {
    const engine = await open()
    const submitted = []
    for (let made = 0; made < 5; made++) submitted.push(await engine.submit(never, undefined))
    const events = await take(engine.events({ from: 'start' }), 5)
    expect(ids(events)).toEqual(submitted.map(({ id }) => id))
  })

  test('waits for what has not happened yet', async () => {
    const engine = await open()
    const events = engine.events()
    for (let round = 0; round < 20; round++) {
      const next = take(events, 1)
      // Each round submits a little later, before, between and after the looks of the iteration.
      for (let turn = round % 5; turn > 0; turn--) await nextTurn()
      const execution = await engine.submit(never, undefined)
      expect(ids(await next)).toEqual([execution.id])
    }
  })

  test('goes on after any event by its cursor', async () => {
    const engine = await open()
    await Promise.all(Array.from({ length: 6 }, () => engine.submit(never, undefined)))
    const all = await take(engine.events({ from: 'start' }), 6)
    for (const [at, { cursor }] of all.entries()) {
      if (at === 5) continue
      const rest = await take(engine.events({ from: cursor }), 5 - at)
      expect(ids(rest)).toEqual(ids(all.slice(at + 1)))
    }
  })

  test('has as many followers as want to', async () => {
    const engine = await open()
    const followers = [engine.events(), engine.events(), engine.events()]
    const all = followers.map((events) => take(events, 2))
    const first = await engine.submit(never, undefined)
    const second = await engine.submit(never, undefined)
    for (const taken of await Promise.all(all)) expect(ids(taken)).toEqual([first.id, second.id])
  })

  test('ends when its signal fires, while it waits and before it begins', async () => {
    const engine = await open()
    const stop = new AbortController()
    const events = engine.events({ signal: stop.signal })
    const waiting = events.next()
    const other = engine.events({ signal: stop.signal })
    await engine.submit(never, undefined)
    expect((await waiting).done).toBe(false)
    const last = events.next()
    stop.abort()
    expect(await last).toEqual({ done: true, value: undefined })
    expect(await events.next()).toEqual({ done: true, value: undefined })
    expect(await other.next()).toEqual({ done: true, value: undefined })
    for await (const event of engine.events({ from: 'start', signal: AbortSignal.abort() })) {
      expect.fail(`told ${event.event}`)
    }
  })

  test('ends when the engine is closed, and cannot begin afterwards', async () => {
    const engine = await open()
    const waiting = engine.events().next()
    const idle = engine.events()
    await engine.close()
    expect((await waiting).done).toBe(true)
    expect((await idle.next()).done).toBe(true)
    expect(() => engine.events()).toThrow(expect.objectContaining({ code: 'engine_closed' }))
  })

  test('may be left, also while it waits', async () => {
    const engine = await open()
    await engine.submit(never, undefined)
    for await (const { event } of engine.events({ from: 'start' })) {
      expect(event).toBe('submit')
      break
    }
    const events = engine.events()
    const waiting = events.next()
    await events.return?.()
    expect(await waiting).toEqual({ done: true, value: undefined })
  })

  test('says so where events were dropped before they were read', async () => {
    const engine = await open()
    const first = await take(withOne(engine), 1)
    await engine.backend.keepEvents({ bytes: 0, ms: 0 })
    await fillSegment(engine)
    const events = engine.events({ from: first[0]?.cursor ?? '' })
    expect((await events.next()).value).toMatchObject({ event: 'gap', partition: 0 })
    await fillSegment(engine)
    // From the start nothing is missing that anybody could have known of.
    const { value } = await engine.events({ from: 'start' }).next()
    expect(value?.event).not.toBe('gap')
  })

  test('refuses what is no cursor', async () => {
    const engine = await open()
    for (const from of [
      '',
      'later',
      'e1~',
      'e1~0.0~0.0',
      'e2~0.0',
      'e1~0',
      5 as unknown as string,
    ]) {
      expect(() => engine.events({ from })).toThrow(
        expect.objectContaining({ code: 'invalid_input', details: expect.anything() }),
      )
    }
  })
})

describe('engine.events() over several partitions and processes', () => {
  const engines = useEngines('valkey')
  const { open } = engines

  test('tells of all partitions, each in its order', async () => {
    const engine = await open({ partitions: 16 })
    const events = engine.events()
    const submitted = await Promise.all(
      Array.from({ length: 100 }, () => engine.submit(hello, undefined)),
    )
    await engine.work([hello], { concurrency: 8 })
    const taken = await take(events, 300)
    for (const { id } of submitted) {
      const own = taken.filter(({ executionId }) => executionId === id)
      expect(names(own)).toEqual(['submit', 'claim', 'complete'])
    }
  })

  test('goes on in another process where the first one stopped', async () => {
    const namespace = freshNamespace()
    const place = { namespace, partitions: 4 }
    const [writer, reader] = [await open(place), await open(place)]
    const events = reader.events()
    const early = await Promise.all(
      Array.from({ length: 10 }, () => writer.submit(never, undefined)),
    )
    const seen = await take(events, 7)
    await reader.close()
    const late = await Promise.all(
      Array.from({ length: 10 }, () => writer.submit(never, undefined)),
    )
    const rest = await take((await open(place)).events({ from: seen.at(-1)?.cursor ?? '' }), 13)
    const all = [...seen, ...rest].map(({ executionId }) => executionId)
    expect(all.sort()).toEqual([...early, ...late].map(({ id }) => id).sort())
  })

  test('loses nothing and doubles nothing when connections are lost', async () => {
    const namespace = freshNamespace()
    const proxy = await startProxy(engines.server.port)
    const writer = await open({ namespace })
    const url = `valkey://127.0.0.1:${proxy.port}`
    const reader = await open({ namespace, url })
    const events = reader.events()
    const submitted = [(await reader.submit(never, undefined)).id]
    const seen = ids(await take(events, 1))
    for (let round = 0; round < 5; round++) {
      const next = take(events, 2)
      submitted.push((await writer.submit(never, undefined)).id)
      proxy.cut()
      submitted.push((await writer.submit(never, undefined)).id)
      seen.push(...ids(await next))
    }
    expect(seen).toEqual(submitted)
    await reader.close()
    await proxy.stop()
  })
})

/** One event, told to whoever begins with this iteration. */
function withOne(engine: Engine) {
  const events = engine.events()
  void engine.submit(never, undefined)
  return events
}

/** Makes more events than the end of the feed holds. */
async function fillSegment({ backend }: Engine): Promise<void> {
  const submission = { lane: 'lane', task: 'task', input: new Uint8Array() }
  const { executionId } = await backend.submit(submission)
  const reason = 'r'.repeat(64)
  for (let round = 0; round < 70; round++) {
    await Promise.all([
      backend.blockExecution(executionId, reason),
      backend.unblockExecution(executionId, reason),
      backend.changePriority(executionId, 1 + (round % 2)),
    ])
  }
  await refusal(backend.purgeExecution(executionId), 'execution_not_terminal')
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
