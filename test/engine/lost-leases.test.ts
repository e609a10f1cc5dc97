// Leases that are lost while the code still runs: its signal fires, and what it returns is dropped.
import { describe, expect, test } from 'vitest'
import { Engine } from '../../src/engine/engine.ts'
import type { EngineError } from '../../src/index.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { gate, staged } from './staged.ts'

describe.each(kinds)('a lost lease on %s', (kind) => {
  const { open, faults } = useEngines(kind)

  test('fires the signal at once with the reason', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '1h' })
    const execution = await engine.submit(slow, undefined)
    const { aborted, context } = await begun()
    await engine.backend.revokeLease(execution.id)
    const reason = (await aborted) as EngineError
    expect(reason).toBeInstanceOf(Error)
    expect(reason.code).toBe('lease_revoked')
    expect(context.signal.reason).toBe(reason)
  })

  test('is taken by another worker, and only the outcome of that one is accepted', async () => {
    const engine = await open()
    const stage = staged()
    await engine.work([stage.task])
    const execution = await engine.submit(stage.task, 'input')
    const first = await stage.begun()
    await engine.backend.revokeLease(execution.id)
    await engine.work([stage.task])
    const second = await stage.begun()
    expect(second.context.attempt).toBe(first.context.attempt + 1)
    expect(second.context.epoch).toBeGreaterThan(first.context.epoch)

    first.finish('of the first')
    await expect(first.context.progress(90)).rejects.toMatchObject({ code: 'stale_lease' })
    second.finish('of the second')
    expect(await execution.result()).toBe('of the second')
    expect(await execution.describe()).toMatchObject({
      publicState: 'completed',
      reclaims: 1,
      endedAttempts: [{ attempt: 0, how: 'revoked' }],
    })
    expect(faults).toEqual([])
  })

  test('does not let a late failure count', async () => {
    const engine = await open()
    const stage = staged({ retry: { attempts: 2, delay: 1 } })
    const worker = await engine.work([stage.task], { lease: '600ms', concurrency: 2 })
    const execution = await engine.submit(stage.task, undefined)
    const first = await stage.begun()
    await engine.backend.revokeLease(execution.id)
    first.fail(await first.aborted)
    const second = await stage.begun()
    second.finish('done')
    expect(await execution.result()).toBe('done')
    expect(await execution.describe()).toMatchObject({ retries: 0 })
    await worker.stop()
    expect(faults).toEqual([])
  })

  test('is kept by renewing for as long as the code takes', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '2s' })
    const execution = await engine.submit(slow, undefined)
    const attempt = await begun()
    const other = staged({ name: 'other' })
    await engine.work([other.task])
    await engine.submit(other.task, undefined, { delay: '3s' })
    const timer = await other.begun()
    timer.finish()
    attempt.finish('done')
    expect(await execution.result()).toBe('done')
    expect(attempt.context.signal.aborted).toBe(false)
    expect(await execution.describe()).toMatchObject({ totalAttempts: 1 })
  })

  test('comes back when this process was too busy to renew, and one outcome counts', async () => {
    const engine = await open()
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '600ms', concurrency: 2 })
    const execution = await engine.submit(slow, undefined)
    const first = await begun()
    const untilMs = Date.now() + 900
    while (Date.now() < untilMs);
    await first.aborted
    const second = await begun()
    expect(second.context.attempt).toBe(1)
    first.finish('of the first')
    second.finish('of the second')
    expect(await execution.result()).toBe('of the second')
    expect(faults).toEqual([])
  })
})

describe('a silent server', () => {
  const engines = useEngines('valkey')

  test('does not keep the signal from firing when the lease has run out', async () => {
    const proxy = await startProxy(engines.server.port)
    const store = await openValkeyStore({
      url: `valkey://127.0.0.1:${proxy.port}`,
      namespace: freshNamespace(),
      callTimeoutMs: 6000,
    })
    const reported = gate<unknown>()
    const engine = new Engine(createBackend(store), { onError: reported.open })
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '900ms' })
    await engine.submit(slow, undefined)
    const attempt = await begun()
    const startedAtMs = performance.now()
    proxy.lead(undefined)
    proxy.silence()
    expect(await attempt.aborted).toMatchObject({ code: 'lease_expired' })
    expect(performance.now() - startedAtMs).toBeLessThan(3000)
    attempt.finish('nobody hears')
    proxy.cut()
    proxy.lead(engines.server.port)
    await engine.close({ grace: 0 })
    await proxy.stop()
  })

  test('that comes back finds the work still there', async () => {
    const proxy = await startProxy(engines.server.port)
    const namespace = freshNamespace()
    const engine = await engines.open({ url: `valkey://127.0.0.1:${proxy.port}`, namespace })
    const beside = await engines.open({ namespace })
    const { task: slow, begun } = staged()
    await engine.work([slow], { lease: '900ms', concurrency: 2 })
    const execution = await engine.submit(slow, undefined)
    const first = await begun()
    proxy.lead(undefined)
    proxy.cut()
    await first.aborted
    proxy.lead(engines.server.port)
    const second = await begun()
    first.finish('of the first')
    second.finish('of the second')
    expect(await beside.execution(execution.id).result()).toBe('of the second')
    await engine.close()
    await proxy.stop()
  })
})
