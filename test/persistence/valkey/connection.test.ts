// Faults of the network: what a caller sees of a server that is gone, silent, or back again.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RunningServer, startServer } from '../../../scripts/servers.ts'
import { isEngineError } from '../../../src/errors.ts'
import type { EngineBackend } from '../../../src/persistence/backend.ts'
import { classifyFault, faultError } from '../../../src/persistence/valkey/fault.ts'
import {
  claimIds,
  claimOne,
  frame,
  refusal,
  submit,
  submitAndClaim,
  textsOf,
} from '../../support/executions.ts'
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { plainClient, timed, useStores } from '../../support/valkey-server.ts'

const open = useStores()
const silenceMs = 150

let server: RunningServer
let proxy: TcpProxy
let url: string

beforeEach(async () => {
  server = await startServer({ flavour: 'valkey' })
  proxy = await startProxy(server.port)
  url = `valkey://127.0.0.1:${proxy.port}`
})

afterEach(async () => {
  await proxy.stop()
  await server.stop()
})

/** A reader who has read all there is, and waits for more. */
async function tailing(backend: EngineBackend) {
  const { executionId, handle } = await submitAndClaim(backend)
  const tail = (after: number) =>
    backend.tailStream(executionId, 0, { after, waitMs: 30_000, count: 10 })
  const first = tail(0)
  await backend.appendFrame(handle, frame('first'))
  expect(textsOf(await first)).toEqual(['first'])
  const waiting = tail(1)
  await backend.sweep(0)
  return { handle, waiting }
}

describe('A server that is gone', () => {
  test('ends a call with connection_timeout within its time', async () => {
    const { backend } = await open({ url, callTimeoutMs: 400 })
    await submit(backend)
    proxy.lead(undefined)
    await server.stop()
    const error = await timed([350, 3000], () => refusal(submit(backend), 'connection_timeout'))
    expect(error.message).toContain('400 ms')
    expect(error.retryable).toBe(true)
    expect(error.details).toMatchObject({ timeoutMs: 400 })
  })

  test('ends every call', async () => {
    const { backend } = await open({ url, callTimeoutMs: 300 })
    const { executionId, handle } = await submitAndClaim(backend)
    proxy.lead(undefined)
    proxy.cut()
    const calls = [
      backend.renew(handle),
      backend.complete(handle),
      backend.describeExecution(executionId),
      backend.sweep(0),
      claimIds(backend),
    ]
    for (const call of calls) call.catch(() => undefined)
    for (const call of calls) await refusal(call, 'connection_timeout')
  })

  test('does not harm a call when it is back in time', async () => {
    const { backend } = await open({ url, callTimeoutMs: 8000 })
    const first = await submit(backend)
    proxy.lead(undefined)
    proxy.cut()
    const call = submit(backend)
    const refused = await refusal(
      open({ url, connectTimeoutMs: 200 }).then(({ backend: other }) => submit(other)),
      'connection_timeout',
    )
    expect(refused.message).toContain(`127.0.0.1:${proxy.port}`)
    proxy.lead(server.port)
    expect(await claimIds(backend)).toEqual([first, await call])
  })

  test('wakes a claim that waits when it is back, even when the news was lost', async () => {
    const { backend, namespace } = await open({ url })
    const peer = await open({ url: server.url, namespace })
    const waiting = claimIds(backend, { maxWaitMs: 60_000 })
    await backend.sweep(0)
    proxy.lead(undefined)
    proxy.cut()
    const id = await submit(peer.backend)
    proxy.lead(server.port)
    expect(await waiting).toEqual([id])
  })

  test('wakes a tail that waits when it is back, even when the news was lost', async () => {
    const { backend, namespace } = await open({ url })
    const peer = await open({ url: server.url, namespace })
    const { handle, waiting } = await tailing(backend)
    proxy.lead(undefined)
    proxy.cut()
    await peer.backend.appendFrame(handle, frame('missed'))
    proxy.lead(server.port)
    expect(textsOf(await waiting)).toEqual(['missed'])
  })

  test('does not spoil the waits of later claims', async () => {
    const { backend } = await open({ url, connectTimeoutMs: 300 })
    proxy.lead(undefined)
    proxy.cut()
    await refusal(claimIds(backend, { maxWaitMs: 60_000 }), 'connection_timeout')
    proxy.lead(server.port)
    const waiting = claimIds(backend, { maxWaitMs: 60_000 })
    const id = await submit(backend)
    expect(await waiting).toEqual([id])
  })

  test('does not spoil being told of endings later', async () => {
    const { backend } = await open({ url, connectTimeoutMs: 300 })
    proxy.lead(undefined)
    proxy.cut()
    await refusal(
      backend.onEnded(() => undefined),
      'connection_timeout',
    )
    proxy.lead(server.port)
    const { executionId, handle } = await submitAndClaim(backend)
    const told = new Promise<void>((resolve, reject) => {
      const listener = (id: string | undefined) => id === executionId && resolve()
      backend.onEnded(listener).then(async () => {
        await backend.watch(executionId)
        await backend.complete(handle)
      }, reject)
    })
    await told
  })

  test('cannot be connected to, and the error says where', async () => {
    proxy.lead(undefined)
    const error = await timed([250, 5000], () =>
      refusal(
        open({ url, connectTimeoutMs: 300 }).then(({ backend }) => submit(backend)),
        'connection_timeout',
      ),
    )
    expect(error.message).toContain(`127.0.0.1:${proxy.port}`)
    expect(error.details).toMatchObject({ timeoutMs: 300 })
  })

  test.each(['http://127.0.0.1', '127.0.0.1:6379', '', 'valkey://'])(
    'cannot be at %j',
    async (wrong) => {
      const call = open({ url: wrong }).then(({ backend }) => submit(backend))
      await refusal(call, 'invalid_input', { argument: 'url' })
    },
  )
})

describe('A server with a password', () => {
  const withPassword = (password: string) => `valkey://${password}127.0.0.1:${server.port}`

  beforeEach(async () => {
    const redis = plainClient(server)
    await redis.config('SET', 'requirepass', 'secret')
    redis.disconnect()
  })

  test('lets those in who know it, also those who wait', async () => {
    const { backend } = await open({ url: withPassword(':secret@') })
    const waiting = claimIds(backend, { maxWaitMs: 60_000 })
    const id = await submit(backend)
    expect(await waiting).toEqual([id])
  })

  test.each([
    ['', 'NOAUTH'],
    [':wrong@', 'WRONGPASS'],
  ])('says so to those who do not know it: %j', async (password, told) => {
    const url = withPassword(password)
    const error = await open({ url, connectTimeoutMs: 300 }).catch((thrown) => thrown)
    expect(isEngineError(error), String(error)).toBe(true)
    expect(error.message).toContain(told)
    expect(error.message).not.toContain('wrong@')
  })
})

describe('A silent connection', () => {
  test('is noticed and replaced, and the call succeeds', async () => {
    const { backend } = await open({ url, silenceMs, callTimeoutMs: 8000 })
    const first = await submit(backend)
    proxy.silence()
    const second = await timed([silenceMs - 10, 4000], () => submit(backend))
    expect(await claimIds(backend)).toEqual([first, second])
  })

  test('is noticed by a claim that waits, which then finds what it missed', async () => {
    const { backend, namespace } = await open({ url, silenceMs })
    const peer = await open({ url: server.url, namespace })
    const waiting = claimIds(backend, { maxWaitMs: 60_000 })
    await backend.sweep(0)
    proxy.silence()
    const id = await submit(peer.backend)
    expect(await timed([0, 5000], () => waiting)).toEqual([id])
  })

  test('is noticed by a tail that waits, which then finds what it missed', async () => {
    const { backend, namespace } = await open({ url, silenceMs })
    const peer = await open({ url: server.url, namespace })
    const { handle, waiting } = await tailing(backend)
    proxy.silence()
    await peer.backend.appendFrame(handle, frame('missed'))
    expect(textsOf(await timed([0, 5000], () => waiting))).toEqual(['missed'])
  })

  test('of a server that hangs ends calls in time, and goes on when the server does', async () => {
    const { backend } = await open({ url, silenceMs, callTimeoutMs: 700 })
    const { handle } = await submitAndClaim(backend)
    server.kill('SIGSTOP')
    await timed([600, 4000], () => refusal(backend.complete(handle), 'connection_timeout'))
    server.kill('SIGCONT')
    expect(await backend.complete(handle)).toMatchObject({ outcome: 'completed' })
  })
})

describe('A lost reply', () => {
  test.each([1, 2, 3])('is asked for again, round %i', async () => {
    const { backend } = await open({ url })
    const id = await submit(backend)
    const lost = proxy.loseNextReply()
    const claimed = await claimOne(backend)
    await lost
    expect(claimed.executionId).toBe(id)
    const lostAgain = proxy.loseNextReply()
    expect(await backend.complete(claimed.handle)).toMatchObject({ outcome: 'completed' })
    await lostAgain
    expect(await backend.watch(id)).toMatchObject({ outcome: 'completed' })
    expect((await backend.describeExecution(id))?.totalAttempts).toBe(1)
  })

  test('of a submission makes no second execution', async () => {
    const { backend } = await open({ url })
    await submit(backend)
    const lost = proxy.loseNextReply()
    await submit(backend)
    await lost
    expect((await backend.listExecutions(0, undefined, 10)).items).toHaveLength(2)
  })
})

describe('A closed backend', () => {
  test('refuses calls, also those on their way', async () => {
    const { backend } = await open({ url })
    const { handle } = await submitAndClaim(backend)
    proxy.silence()
    const onTheWay = refusal(backend.renew(handle), 'engine_closed')
    await backend.close()
    await onTheWay
    await refusal(backend.complete(handle), 'engine_closed')
    await backend.close()
  })

  test('ends the waits of claims at once', async () => {
    const { backend } = await open({ url })
    const first = claimIds(backend, { maxWaitMs: 60_000 })
    const id = await submit(backend)
    expect(await first).toEqual([id])
    const asleep = claimIds(backend, { maxWaitMs: 60_000 })
    await backend.sweep(0)
    await backend.close()
    await timed([0, 3000], () => refusal(asleep, 'engine_closed'))
  })
})

describe('A fault', () => {
  test.each([
    ['ERR Function not found', 'library_missing'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'out_of_memory'],
    ['Connection is closed.', 'connection'],
    ['Socket timeout. Expecting data, but did not receive any in 150ms.', 'connection'],
    ['connect ECONNREFUSED 127.0.0.1:1', 'connection'],
    ['read ECONNRESET', 'connection'],
    ['write EPIPE', 'connection'],
    ["Stream isn't writeable and enableOfflineQueue options is false", 'connection'],
    ['LOADING Valkey is loading the dataset in memory', 'connection'],
    ["READONLY You can't write against a read only replica.", 'connection'],
    ['MASTERDOWN Link with MASTER is down', 'connection'],
    ['CLUSTERDOWN The cluster is down', 'connection'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'connection'],
    ['MOVED 1 127.0.0.1:7001', 'connection'],
    ['NOREPLICAS Not enough good replicas to write.', 'connection'],
    ['BUSY Valkey is busy running a script.', 'connection'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'other'],
    ['NOPERM User default has no permissions', 'other'],
    ['ERR HOLDFAST_MALFORMED the call does not fit this library', 'other'],
  ])('that says %j is of the kind %s', (text, kind) => {
    expect(classifyFault(new Error(text))).toBe(kind)
  })

  test('does not carry the payload of its command into the error', () => {
    const error = Object.assign(new Error('WRONGTYPE no'), { command: { args: ['secret'] } })
    const seen = faultError(error)
    expect(seen.code).toBe('server_fault')
    expect(JSON.stringify({ ...seen, cause: { ...(seen.cause as object) } })).not.toContain(
      'secret',
    )
  })
})
