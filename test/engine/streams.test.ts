// Emitting and following frames through the public surface, on both kinds of backend.
import { describe, expect, test } from 'vitest'
import {
  type Codec,
  EngineError,
  type Execution,
  jsonCodec,
  type TailedFrame,
  type TailOptions,
  task,
} from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'
import { gate, staged } from './staged.ts'

async function readAll(execution: Execution<unknown>, options?: TailOptions) {
  const frames: TailedFrame[] = []
  for await (const frame of execution.tail(options)) frames.push(frame)
  return frames
}

const valuesOf = (frames: readonly TailedFrame[]) => frames.map(({ value }) => value)

describe.each(kinds)('frames on %s', (kind) => {
  const { open, faults } = useEngines(kind)

  test('come to a reader as they were emitted, in order, then the end', async () => {
    const engine = await open()
    const talk = task({
      name: 'talk',
      async run(context) {
        await context.emit('text', 'größe\n')
        await context.emit('bytes', Uint8Array.of(0, 255), { correlationId: 'call-1' })
        await context.emit('object', { a: [1, null] })
        await context.emit('nothing', undefined)
        return context.emit('live', 5, { mode: 'live' })
      },
    })
    await engine.work([talk])
    const execution = await engine.submit(talk, undefined)
    const frames = await readAll(execution)
    expect(frames.map(({ number, type, mode }) => [number, type, mode])).toEqual([
      [1, 'text', 'durable'],
      [2, 'bytes', 'durable'],
      [3, 'object', 'durable'],
      [4, 'nothing', 'durable'],
      [5, 'live', 'live'],
    ])
    const bytes = Buffer.from([0, 255])
    expect(valuesOf(frames)).toEqual(['größe\n', bytes, { a: [1, null] }, undefined, 5])
    expect(frames[1]).toMatchObject({ attempt: 0, cursor: '0:2', correlationId: 'call-1' })
    expect(await execution.result()).toBe(5)
    expect(valuesOf(await readAll(execution))).toEqual(valuesOf(frames))
  })

  test('keep their order when nobody waits for them, and are all there at the end', async () => {
    const engine = await open()
    const many = task({
      name: 'many',
      run(context) {
        for (let at = 0; at < 1000; at++) {
          const mode = at % 100 === 50 ? 'summary' : at % 3 === 0 ? 'live' : 'durable'
          void context.emit('number', mode === 'summary' ? { at } : at, { mode })
        }
      },
    })
    await engine.work([many])
    const execution = await engine.submit(many, undefined)
    await execution.result()
    const page = await engine.backend.readStream(execution.id, 0, { count: 10_000 })
    expect(page).toMatchObject({ frameCount: 1000, closedReason: 'attempt_success' })
    const values = valuesOf(await readAll(execution))
    const wanted = Array.from({ length: 1000 }, (_, at) => at).filter((at) => {
      const isLive = at % 100 === 50 || at % 3 === 0
      return !isLive || page.frames.some(({ number }) => number === at + 1)
    })
    expect(values.map((value) => (typeof value === 'object' ? Object(value).at : value))).toEqual(
      wanted,
    )
    expect(await execution.summary()).toMatchObject({ value: { at: 950 }, version: 10, attempt: 0 })
  })

  test('are copied when they are emitted', async () => {
    const engine = await open()
    const reuse = task({
      name: 'reuse',
      run(context) {
        const buffer = Buffer.alloc(1)
        for (let at = 0; at < 3; at++) {
          buffer[0] = at
          void context.emit('byte', buffer)
        }
      },
    })
    await engine.work([reuse])
    const frames = await readAll(await engine.submit(reuse, undefined))
    expect(frames.map(({ payload }) => payload[0])).toEqual([0, 1, 2])
  })

  test('reach a reader while the attempt still runs', async () => {
    const engine = await open()
    const stage = staged()
    await engine.work([stage.task])
    const execution = await engine.submit(stage.task, undefined)
    const reader = execution.tail()
    const first = reader.next()
    const attempt = await stage.begun()
    await attempt.context.emit('text', 'one')
    expect((await first).value).toMatchObject({ value: 'one', cursor: '0:1' })
    const second = reader.next()
    await attempt.context.emit('text', 'two', { mode: 'live' })
    expect((await second).value).toMatchObject({ value: 'two' })
    const end = reader.next()
    attempt.finish()
    expect(await end).toEqual({ done: true, value: undefined })
  })

  test('of the attempts that follow come, too, until the execution has ended', async () => {
    const engine = await open()
    const stubborn = task({
      name: 'stubborn',
      retry: { attempts: 4, delay: 1 },
      async run(context) {
        // The second attempt says nothing.
        if (context.attempt !== 1) await context.emit('text', `attempt ${context.attempt}`)
        if (context.attempt < 3) throw new Error('again')
      },
    })
    const execution = await engine.submit(stubborn, undefined)
    const reading = readAll(execution)
    await engine.work([stubborn])
    const frames = await reading
    expect(frames.map(({ attempt, value }) => [attempt, value])).toEqual([
      [0, 'attempt 0'],
      [2, 'attempt 2'],
      [3, 'attempt 3'],
    ])
    expect(valuesOf(await readAll(execution))).toEqual(['attempt 3'])
    expect(valuesOf(await readAll(execution, { attempt: 0 }))).toEqual(['attempt 0'])
    expect(valuesOf(await readAll(execution, { attempt: 1 }))).toEqual([])
    const after = frames[0]?.cursor ?? ''
    expect(valuesOf(await readAll(execution, { after }))).toEqual(['attempt 2', 'attempt 3'])
    expect(valuesOf(await readAll(execution, { after, attempt: 0 }))).toEqual([])
  })

  test('go on with the next number when the attempt continues elsewhere', async () => {
    const engine = await open()
    const stage = staged()
    const worker = await engine.work([stage.task])
    const execution = await engine.submit(stage.task, undefined)
    const first = await stage.begun()
    await first.context.emit('text', 'here')
    const stopped = worker.stop({ grace: 0 })
    await first.aborted
    first.finish()
    await stopped
    await refusal(first.context.emit('text', 'too late'), 'execution_not_active')
    await engine.work([stage.task])
    const second = await stage.begun()
    expect(second.context.attempt).toBe(0)
    expect(await second.context.emit('text', 'there')).toBe(2)
    second.finish()
    expect(valuesOf(await readAll(execution))).toEqual(['here', 'there'])
  })

  test('that cannot be are refused at once, so that nobody need wait to hear of it', async () => {
    const engine = await open()
    const stage = staged()
    await engine.work([stage.task])
    const execution = await engine.submit(stage.task, undefined)
    const { context, finish } = await stage.begun()
    const cycle: unknown[] = []
    cycle.push(cycle)
    const wrong: (() => unknown)[] = [
      () => context.emit('two words', 'x'),
      () => context.emit('log', 'x'.repeat(65_537)),
      () => context.emit('log', cycle),
      () => context.emit('log', 1n),
      () => context.emit('log', 'x', { mode: 'other' as 'live' }),
      () => context.emit('log', 'x', { correlationId: 'x'.repeat(257) }),
      () => context.emit('log', [1], { mode: 'summary' }),
      () => context.emit('log', 'no JSON', { mode: 'summary' }),
    ]
    for (const emit of wrong) expect(emit).toThrow(/^invalid_input/)
    expect(await context.emit('log', 'good')).toBe(1)
    finish()
    expect(valuesOf(await readAll(execution))).toEqual(['good'])
  })

  test('leave the numbers whole when a patch is refused between them', async () => {
    const engine = await open()
    const stage = staged()
    await engine.work([stage.task])
    const execution = await engine.submit(stage.task, undefined)
    const { context, finish } = await stage.begun()
    const large = (name: string) => ({ [name]: 'x'.repeat(60_000) })
    const emitted = await Promise.allSettled([
      context.emit('text', 'a'),
      ...['p', 'q', 'r', 's', 't'].map((name) =>
        context.emit('d', large(name), { mode: 'summary' }),
      ),
      context.emit('text', 'b'),
    ])
    expect(emitted.map(({ status }) => status === 'fulfilled')).toEqual([
      ...[true, true, true, true, true],
      ...[false, true],
    ])
    expect(emitted.at(-1)).toMatchObject({ value: 6 })
    finish()
    const frames = await readAll(execution)
    expect(frames.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6])
    expect(Object.keys(Object((await execution.summary())?.value))).toEqual(['p', 'q', 'r', 's'])
  })

  test('are written by the codec of the engine, but text, bytes and patches are not', async () => {
    const secret: Codec = {
      encode: (value) => Buffer.from(jsonCodec.encode(value)).map((byte) => byte ^ 0x55),
      decode: (bytes) => jsonCodec.decode(Buffer.from(bytes).map((byte) => byte ^ 0x55)),
    }
    const engine = await open({ codec: secret })
    const talk = task({
      name: 'talk',
      async run(context) {
        await context.emit('value', { secret: true })
        await context.emit('text', 'plain')
        await context.emit('patch', { plain: true }, { mode: 'summary' })
      },
    })
    await engine.work([talk])
    const execution = await engine.submit(talk, undefined)
    const frames = await readAll(execution)
    expect(valuesOf(frames)).toEqual([{ secret: true }, 'plain', { plain: true }])
    expect(frames.map(({ payload }) => Buffer.from(payload).includes('secret'))).toEqual([
      ...[false, false, false],
    ])
    expect(await execution.summary()).toMatchObject({ document: '{"plain":true}' })
  })

  test('stop coming when the signal of their reader fires', async () => {
    const engine = await open()
    const stage = staged()
    await engine.work([stage.task])
    const execution = await engine.submit(stage.task, undefined)
    const stop = new AbortController()
    const reader = execution.tail({ signal: stop.signal })
    const { context, finish } = await stage.begun()
    await context.emit('text', 'a')
    expect((await reader.next()).value).toMatchObject({ value: 'a' })
    const next = reader.next()
    stop.abort()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(await readAll(execution, { signal: AbortSignal.abort() })).toEqual([])
    finish()
  })

  test('reach more readers than may wait at a time', async () => {
    const engine = await open()
    const stage = staged()
    await engine.work([stage.task])
    const execution = await engine.submit(stage.task, undefined)
    const readers = Array.from({ length: 80 }, () => readAll(execution))
    const { context, finish } = await stage.begun()
    await context.emit('text', 'a')
    finish()
    const read = await Promise.all(readers)
    expect(read.map(valuesOf)).toEqual(readers.map(() => ['a']))
  })

  test('of nothing, and cursors that are none, are refused', async () => {
    const engine = await open()
    const silent = task({ name: 'silent', run: () => 'done' })
    await engine.work([silent])
    const execution = await engine.submit(silent, undefined)
    await execution.result()
    expect(await readAll(execution)).toEqual([])
    expect(await execution.summary()).toBeUndefined()
    for (const after of ['', '1', 'x:1', '1:', '0:-1']) {
      await refusal(execution.tail({ after }).next(), 'invalid_input', { argument: 'after' })
    }
    const elsewhere = execution.tail({ after: '1:1', attempt: 0 })
    await refusal(elsewhere.next(), 'invalid_input', { argument: 'after' })
    const nobody = engine.execution('0-01m83y6swf5ffkx83x1aj6g3gw')
    await refusal(nobody.tail().next(), 'execution_not_found')
    await refusal(nobody.tail({ attempt: 0 }).next(), 'execution_not_found')
    await refusal(nobody.summary(), 'execution_not_found')
  })

  test('that were not stored and not asked about are reported, once', async () => {
    const engine = await open()
    const fault = new EngineError('server_out_of_memory', 'full')
    engine.backend.appendFrame = () => Promise.reject(fault)
    const careless = task({
      name: 'careless',
      run(context) {
        for (const at of [1, 2, 3]) void context.emit('number', at)
        return 'done'
      },
    })
    await engine.work([careless])
    const execution = await engine.submit(careless, undefined)
    expect(await execution.result()).toBe('done')
    expect(faults.splice(0)).toMatchObject([
      { message: expect.stringContaining('task careless asked for something'), cause: fault },
    ])
  })

  test('are all there while the task that emitted them waits', async () => {
    const engine = await open()
    const patient = task({
      name: 'patient',
      async run(context) {
        await context.waitFor('first')
        for (let at = 0; at < 300; at++) void context.emit('number', at)
        await context.waitFor('second')
        return 'done'
      },
    })
    await engine.work([patient])
    const execution = await engine.submit(patient, undefined)
    const suspended = async (times: number) => {
      let count = 0
      for await (const { event } of engine.events({ from: 'start' })) {
        if (event === 'suspend') count += 1
        if (count === times) break
      }
      return (await execution.waitpoints()).find(({ state }) => state === 'active')
    }
    await engine.signal((await suspended(1))?.token ?? '', undefined)
    const waiting = await suspended(2)
    const { frameCount } = await engine.backend.readStream(execution.id, 0, { count: 1 })
    expect(frameCount).toBe(300)
    await engine.signal(waiting?.token ?? '', undefined)
    expect(await execution.result()).toBe('done')
  })

  test('are no longer waited for when the engine closes', async () => {
    const engine = await open()
    const idle = task({ name: 'idle', run: () => undefined })
    const execution = await engine.submit(idle, undefined)
    const begun = gate()
    const reading = (async () => {
      const reader = execution.tail()
      const next = reader.next()
      begun.open()
      return next
    })()
    await begun.passed
    const ended = refusal(reading, 'engine_closed')
    await engine.close()
    await ended
    expect(faults).toEqual([])
  })
})
