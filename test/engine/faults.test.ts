// Workers survive faults: of claims, of connections, of servers, and of those who listen to faults.
import { describe, expect, test } from 'vitest'
import { startServer } from '../../scripts/servers.ts'
import { Engine } from '../../src/engine/engine.ts'
import { type EngineBackend, EngineError, openEngine, task } from '../../src/index.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { freshNamespace, useEngines } from './engines.ts'
import { useQuietProcess } from './quiet-process.ts'
import { gate, staged } from './staged.ts'

const echo = task({ name: 'echo', run: (_context, input: unknown) => input })

/** An embedded backend of which one operation fails as often as said, then works. */
async function failing<Name extends 'claim' | 'complete' | 'renewMany' | 'sweep'>(
  name: Name,
  times: number,
  error: () => unknown,
): Promise<EngineBackend> {
  const backend = createBackend(await openEmbeddedStore())
  const real = backend[name] as (...args: unknown[]) => Promise<unknown>
  let left = times
  const stub = async (...args: unknown[]) => {
    if (left === 0) return real.apply(backend, args)
    left -= 1
    throw error()
  }
  return Object.assign(backend, { [name]: stub })
}

describe('a worker', () => {
  useQuietProcess()

  test('whose claims fail reports each, rests, and works in the end', async () => {
    const faults: unknown[] = []
    const error = new EngineError('server_fault', 'the claim failed')
    const engine = new Engine(await failing('claim', 3, () => error), {
      onError: (fault) => void faults.push(fault),
    })
    const startedAtMs = performance.now()
    await engine.work([echo])
    const execution = await engine.submit(echo, 1)
    expect(await execution.result()).toBe(1)
    expect(faults).toEqual([error, error, error])
    // The rests grow from 100 ms: 100 + 200 + 400.
    expect(performance.now() - startedAtMs).toBeGreaterThan(650)
    await engine.close()
  })

  test('whose claims throw what is no error reports that too', async () => {
    const faults: unknown[] = []
    const engine = new Engine(await failing('claim', 1, () => 'a mere text'), {
      onError: (fault) => void faults.push(fault),
    })
    await engine.work([echo])
    expect(await (await engine.submit(echo, 1)).result()).toBe(1)
    expect(faults).toEqual(['a mere text'])
    await engine.close()
  })

  test('can be stopped while it rests', async () => {
    const told = gate<unknown>()
    const engine = new Engine(await failing('claim', 99, () => new Error('no')), {
      onError: told.open,
    })
    const worker = await engine.work([echo])
    await told.passed
    await worker.stop()
    await engine.close()
  })

  test('that cannot report an outcome says so, and the work is done again', async () => {
    const told = gate<unknown>()
    const fault = new EngineError('connection_timeout', 'no answer')
    const engine = new Engine(await failing('complete', 1, () => fault), { onError: told.open })
    const attempts = task({ name: 'attempts', run: ({ attempt }) => attempt })
    await engine.work([attempts], { lease: '600ms' })
    const execution = await engine.submit(attempts, undefined)
    expect(await told.passed).toBe(fault)
    expect(await execution.result()).toBe(1)
    await engine.close()
  })

  test('goes on renewing when one renewal fails', async () => {
    const told = gate<unknown>()
    const fault = new EngineError('connection_timeout', 'no answer')
    const engine = new Engine(await failing('renewMany', 1, () => fault), { onError: told.open })
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '1s' })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    expect(await told.passed).toBe(fault)
    await engine.work([echo])
    await (await engine.submit(echo, 1, { delay: '1100ms' })).result()
    attempt.finish('done')
    expect(await execution.result()).toBe('done')
    expect(await execution.describe()).toMatchObject({ totalAttempts: 1 })
    await engine.close()
  })

  test('is not ended by a sweeper that fails', async () => {
    const faults: unknown[] = []
    const engine = new Engine(await failing('sweep', 2, () => new Error('no sweep')), {
      onError: (fault) => void faults.push(fault),
    })
    const { task: idle } = staged()
    const execution = await engine.submit(idle, undefined, { deadline: '50ms' })
    await expect(execution.result()).rejects.toMatchObject({ code: 'execution_expired' })
    expect(faults).toHaveLength(2)
    await engine.close()
  })

  test('is not ended by one that breaks in the middle of many', async () => {
    const engine = await openEngine()
    const mixed = task({
      name: 'mixed',
      run: (_context, input: number) => {
        if (input % 3 === 0) throw Object.create(null)
        if (input % 3 === 1) return Promise.reject(undefined)
        return input
      },
    })
    await engine.work([mixed], { concurrency: 5 })
    const executions = await Promise.all(
      Array.from({ length: 60 }, (_, input) => engine.submit(mixed, input)),
    )
    const outcomes = await Promise.allSettled(executions.map((execution) => execution.result()))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(20)
    await engine.close()
  })
})

describe('a listener to faults', () => {
  test('that throws is told as a warning, and nothing else is touched', async () => {
    const warned = gate<Error>()
    process.once('warning', warned.open)
    const engine = new Engine(await failing('claim', 1, () => new Error('no')), {
      onError: () => {
        throw new Error('from the listener')
      },
    })
    await engine.work([echo])
    expect(await (await engine.submit(echo, 1)).result()).toBe(1)
    expect(await warned.passed).toMatchObject({ message: 'from the listener' })
    await engine.close()
  })

  test('that is missing is replaced by a warning of the process', async () => {
    const warned = gate<Error>()
    process.once('warning', warned.open)
    const engine = new Engine(await failing('claim', 1, () => new Error('no claim')))
    await engine.work([echo])
    expect(await warned.passed).toMatchObject({ message: 'no claim' })
    await engine.close()
  })
})

describe('a server', () => {
  const engines = useEngines('valkey')

  test('that is killed and started again is worked on again, with all that it kept', async () => {
    const extraArgs = ['--appendonly', 'yes', '--appendfsync', 'always']
    const first = await startServer({ flavour: 'valkey', extraArgs })
    const proxy = await startProxy(first.port)
    const engine = await openEngine({
      url: `valkey://127.0.0.1:${proxy.port}`,
      namespace: freshNamespace(),
      onError: () => undefined,
    })
    expect(engine.backend.durability).toBe('always')
    const { task: slow, begun } = staged()
    await engine.work([slow], { concurrency: 2, lease: '2s' })
    const executions = await Promise.all([1, 2, 3].map((input) => engine.submit(slow, input)))
    const results = Promise.all(executions.map((execution) => execution.result()))
    const running = [await begun(), await begun()]
    proxy.lead(undefined)
    first.kill('SIGKILL')
    // What the killed server leaves behind is where the next one begins.
    const second = await startServer({
      flavour: 'valkey',
      extraArgs: [...extraArgs, '--dir', first.dir],
    })
    proxy.lead(second.port)
    proxy.cut()
    for (const attempt of running) attempt.finish(attempt.input)
    // The third one, and whichever lost its lease because all this took too long.
    const isOver = Symbol('over')
    for (;;) {
      const next = await Promise.race([results.then(() => isOver), begun()])
      if (typeof next === 'symbol') break
      next.finish(next.input)
    }
    expect(await results).toEqual([1, 2, 3])
    await engine.close()
    await proxy.stop()
    await Promise.all([first.stop(), second.stop()])
  })

  test('that cannot be reached when a worker begins is worked on as soon as it can', async () => {
    const proxy = await startProxy(engines.server.port)
    const store = await openValkeyStore({
      url: `valkey://127.0.0.1:${proxy.port}`,
      namespace: freshNamespace(),
      connectTimeoutMs: 200,
      callTimeoutMs: 400,
    })
    const told = gate<unknown>()
    const engine = new Engine(createBackend(store), { onError: told.open })
    proxy.lead(undefined)
    proxy.cut()
    await engine.work([echo])
    await told.passed
    proxy.lead(engines.server.port)
    const execution = await submitted(engine)
    expect(await execution.result()).toBe('reached')
    await engine.close()
    await proxy.stop()
  })

  test('that cannot be reached when a result is waited for is asked again later', async () => {
    const proxy = await startProxy(engines.server.port)
    const store = await openValkeyStore({
      url: `valkey://127.0.0.1:${proxy.port}`,
      namespace: freshNamespace(),
      connectTimeoutMs: 200,
      callTimeoutMs: 400,
    })
    const engine = new Engine(createBackend(store), { onError: () => undefined })
    const execution = await engine.submit(echo, 'reached')
    proxy.lead(undefined)
    proxy.cut()
    await expect(execution.result()).rejects.toMatchObject({ retryable: true })
    proxy.lead(engines.server.port)
    await submitted(engine)
    await engine.work([echo])
    expect(await execution.result()).toBe('reached')
    await engine.close()
    await proxy.stop()
  })

  test('that goes away in the middle of many calls brings no warning of listeners', async () => {
    const server = await startServer({ flavour: 'valkey' })
    const engine = await engines.open({ url: server.url, callTimeout: '400ms' })
    await server.stop()
    const codes = new Set<string>()
    const calls: Promise<unknown>[] = []
    for (let call = 0; call < 40; call++) {
      calls.push(engine.submit(echo, call).catch((error) => codes.add(error.code)))
      // Each in a tick of its own, or they would share one call to the server.
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(calls)
    expect([...codes]).toEqual(['connection_timeout'])
    engines.faults.splice(0)
  })

  test('that is gone does not keep an engine from closing', async () => {
    const server = await startServer({ flavour: 'valkey' })
    const engine = await openEngine({
      url: server.url,
      callTimeout: '500ms',
      onError: () => undefined,
    })
    const { task: slow, begun } = staged()
    await engine.work([slow])
    await engine.submit(slow, undefined)
    const attempt = await begun()
    await server.stop()
    const startedAtMs = performance.now()
    await engine.close({ grace: 0 })
    expect(performance.now() - startedAtMs).toBeLessThan(3000)
    await attempt.aborted
  })
})

describe('opening an engine', () => {
  useQuietProcess()

  test.each<[string, Parameters<typeof openEngine>[0], string]>([
    ['url', { url: '' }, 'invalid_input'],
    ['url', { url: 'localhost:6379' }, 'invalid_input'],
    ['url', { url: 'http://localhost:6379' }, 'invalid_input'],
    ['url', { url: 'valkey://localhost:99999' }, 'invalid_input'],
    ['directory', { directory: '' }, 'invalid_input'],
    ['directory', { directory: 'x', url: 'valkey://localhost' }, 'invalid_input'],
    ['namespace', { namespace: 'Two Words' }, 'invalid_input'],
    ['namespace', { namespace: 'Two Words', url: 'valkey://localhost' }, 'invalid_input'],
    ['callTimeout', { callTimeout: 'x' as '1s', url: 'valkey://localhost' }, 'invalid_input'],
  ])('with a wrong %s is refused by that name: %j', async (argument, options, code) => {
    const error = await openEngine(options).then(
      (engine) => engine.close().then(() => undefined),
      (thrown) => thrown,
    )
    expect(error).toBeInstanceOf(EngineError)
    expect(error).toMatchObject({ code, details: { argument } })
  })
})

/** Submits again until the connection is back. */
async function submitted(engine: Engine): ReturnType<Engine['submit']> {
  for (;;) {
    try {
      return await engine.submit(echo, 'reached', { idempotencyKey: 'once' })
    } catch (error) {
      if (!(error instanceof EngineError && error.retryable)) throw error
    }
  }
}
