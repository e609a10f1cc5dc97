// Attempts whose lease is taken away: their signals fire at once, also in another process.
import { describe, expect, test } from 'vitest'
import { Engine } from '../../src/engine/engine.ts'
import { type EngineError, type Execution, isEngineError } from '../../src/index.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { staged } from './staged.ts'

/** No renewal comes within a test: only being told can fire a signal. */
const lease = '1h'

describe.each(kinds)('a lease that is taken away on %s', (kind) => {
  const { open } = useEngines(kind)

  test.each<[string, string, (execution: Execution, engine: Engine) => Promise<unknown>]>([
    ['is cancelled', 'execution_cancelled', (execution) => execution.cancel('stop')],
    ['is revoked', 'lease_revoked', ({ id }, { backend }) => backend.revokeLease(id)],
  ])('fires the signal of its attempt when it %s', async (_how, code, lose) => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    await lose(execution, engine)
    const reason = (await attempt.aborted) as EngineError
    expect(reason).toMatchObject({ code, details: { executionId: execution.id } })
    expect(isEngineError(reason)).toBe(true)
    attempt.finish()
  })

  test('fires no other signal', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease, concurrency: 2 })
    const first = await engine.submit(slow, 'first')
    const second = await engine.submit(slow, 'second')
    const attempts = [await begun(), await begun()]
    const [one, other] = attempts.sort((a) => (a.input === 'first' ? -1 : 1))
    await first.cancel()
    await one?.aborted
    expect(other?.context.signal.aborted).toBe(false)
    other?.finish('done')
    expect(await second.result()).toBe('done')
  })

  test('says that it was revoked although another worker has it already', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease, concurrency: 2 })
    const execution = await engine.submit(slow, undefined)
    const first = await begun()
    await engine.backend.revokeLease(execution.id)
    const second = await begun()
    expect(await first.aborted).toMatchObject({ code: 'lease_revoked' })
    second.finish('done')
    expect(await execution.result()).toBe('done')
  })

  test('is noticed for 1000 attempts at once', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease, concurrency: 1000 })
    const items = Array.from({ length: 1000 }, () => ({ input: undefined }))
    const submitted = await engine.submitMany(slow, items)
    const attempts = []
    while (attempts.length < 1000) attempts.push(await begun())
    await Promise.all(
      submitted.map(async (one) => one.outcome !== 'refused' && one.execution.cancel('all')),
    )
    const reasons = (await Promise.all(attempts.map(({ aborted }) => aborted))) as EngineError[]
    expect(new Set(reasons.map(({ code }) => code))).toEqual(new Set(['execution_cancelled']))
    for (const { finish } of attempts) finish()
  })
})

describe('a lease that is taken away in another process', () => {
  const engines = useEngines('valkey')

  test('fires the signal of its attempt', async () => {
    const namespace = freshNamespace()
    const [worker, operator] = await Promise.all([
      engines.open({ url: engines.server.url, namespace }),
      engines.open({ url: engines.server.url, namespace }),
    ])
    const { task: slow, begun } = staged()
    await worker.work([slow], { lease })
    const { id } = await operator.submit(slow, undefined)
    const attempt = await begun()
    await operator.execution(id).cancel('from afar')
    expect(await attempt.aborted).toMatchObject({
      code: 'execution_cancelled',
      details: { message: 'from afar' },
    })
    attempt.finish()
  })

  test('fires it also when nothing could be heard meanwhile', async () => {
    const proxy = await startProxy(engines.server.port)
    const namespace = freshNamespace()
    const url = `valkey://127.0.0.1:${proxy.port}`
    const store = await openValkeyStore({ url, namespace })
    const faults: unknown[] = []
    const engine = new Engine(createBackend(store), { onError: (fault) => void faults.push(fault) })
    const beside = await engines.open({ url: engines.server.url, namespace })
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease })
    const { id } = await beside.submit(slow, undefined)
    const attempt = await begun()
    proxy.lead(undefined)
    proxy.cut()
    await beside.execution(id).cancel('unheard')
    proxy.lead(engines.server.port)
    expect(await attempt.aborted).toMatchObject({
      code: 'execution_cancelled',
      details: { message: 'unheard' },
    })
    attempt.finish()
    await engine.close({ grace: 0 })
    await proxy.stop()
    expect(faults).toEqual([])
  })
})
