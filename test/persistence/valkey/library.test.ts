// The function library: found missing, it is loaded again; two builds share one server.
import { describe, expect, test } from 'vitest'
import { startCluster, startServer } from '../../../scripts/servers.ts'
import { isEngineError } from '../../../src/errors.ts'
import {
  ensureLibrary,
  locate,
  requireSupportedServer,
  shippedLibrary,
} from '../../../src/persistence/valkey/library.ts'
import { claimIds, claimOne, submit } from '../../support/executions.ts'
import { testLibrary } from '../../support/settable-clock.ts'
import { startProxy } from '../../support/tcp-proxy.ts'
import { plainClient, useServer, useStores } from '../../support/valkey-server.ts'

describe.each(['valkey', 'redis'] as const)('The library on %s', (flavour) => {
  const at = useServer(flavour)
  const open = useStores()

  test('is loaded when a store connects, by several at once', async () => {
    await at.redis.call('FUNCTION', 'FLUSH')
    await Promise.all(Array.from({ length: 5 }, () => open({ url: at.server.url })))
    expect(await libraries(at.redis)).toEqual([shippedLibrary.name])
  })

  test('is loaded again after it was flushed, and no caller notices', async () => {
    const { backend } = await open({ url: at.server.url })
    const first = await submit(backend)
    await at.redis.call('FUNCTION', 'FLUSH')
    const second = await submit(backend)
    expect(await claimIds(backend)).toEqual([first, second])
  })

  test('is loaded again for many calls at once', async () => {
    const { backend } = await open({ url: at.server.url, partitions: 8 })
    await at.redis.call('FUNCTION', 'FLUSH')
    const ids = await Promise.all(Array.from({ length: 300 }, () => submit(backend)))
    expect(new Set(ids).size).toBe(300)
    expect(await claimIds(backend)).toHaveLength(256)
  })

  test('is loaded again by a claim that waits', async () => {
    const { backend } = await open({ url: at.server.url })
    const other = await open({ url: at.server.url })
    const waiting = claimIds(backend, { maxWaitMs: 60_000 })
    await submit(other.backend, { lane: 'other' })
    await at.redis.call('FUNCTION', 'FLUSH')
    const id = await submit(backend)
    expect(await waiting).toEqual([id])
  })

  test('lives beside another build, each with its own name, on the same work', async () => {
    const url = at.server.url
    const old = await open({ url })
    await at.redis.call('FUNCTION', 'LOAD', 'REPLACE', testLibrary.source)
    await at.redis.call('FCALL', `${testLibrary.name}_clock`, 0, Date.now())
    const { namespace } = old
    const young = await open({ url, namespace, library: testLibrary })
    expect((await libraries(at.redis)).sort()).toEqual(
      [shippedLibrary.name, testLibrary.name].sort(),
    )
    const first = await submit(old.backend)
    const claimed = await claimOne(young.backend)
    expect(claimed.executionId).toBe(first)
    await old.backend.complete(claimed.handle)
    await old.backend.close()
    const second = await submit(young.backend)
    expect(await claimIds(young.backend)).toEqual([second])
  })
})

describe('The library', () => {
  const open = useStores()

  test('is loaded again when the server was restarted without its memory', async () => {
    const before = await startServer({ flavour: 'valkey' })
    const proxy = await startProxy(before.port)
    const { backend } = await open({ url: `valkey://127.0.0.1:${proxy.port}` })
    await submit(backend)
    const after = await startServer({ flavour: 'valkey' })
    proxy.lead(after.port)
    await before.stop()
    const id = await submit(backend)
    expect(await claimIds(backend)).toEqual([id])
    await backend.close()
    await proxy.stop()
    await after.stop()
  })

  test('is loaded on every primary of a cluster, and again where it is missing', async () => {
    const cluster = await startCluster({ flavour: 'valkey', primaries: 3 })
    const nodes = cluster.nodes.map((url) => plainClient({ port: Number(new URL(url).port) }))
    const { backend } = await open({ url: cluster.url })
    expect(backend.partitions).toHaveLength(64)
    for (const node of nodes) expect(await libraries(node)).toEqual([shippedLibrary.name])
    await nodes[1]?.call('FUNCTION', 'FLUSH')
    await Promise.all(Array.from({ length: 100 }, () => submit(backend)))
    for (const node of nodes) expect(await libraries(node)).toEqual([shippedLibrary.name])
    expect(await claimIds(backend)).toHaveLength(100)
    await backend.close()
    for (const node of nodes) node.disconnect()
    await cluster.stop()
  })

  test('that a server refuses to load is an error that says why', async () => {
    const node = {
      call: async (_command: string, what?: string) => {
        if (what === 'LIST') return []
        throw new Error('NOPERM this user has no permissions')
      },
    }
    await expect(ensureLibrary(shippedLibrary, [node])).rejects.toThrow('NOPERM')
  })

  test('tells the Lua file and line of a fault', () => {
    const [, second] = testLibrary.lines
    const [line, file] = second ?? expect.fail('no modules')
    expect(locate(`@user_function:${line + 2}: boom`, testLibrary.lines)).toBe(`${file}:3: boom`)
    expect(locate('user_function:1: boom', testLibrary.lines)).toBe('user_function:1: boom')
    expect(locate('boom', testLibrary.lines)).toBe('boom')
  })
})

describe('A server', () => {
  const answering = (...lines: string[]) => ({
    call: async () => `# Server\r\n${lines.map((line) => `${line}\r\n`).join('')}`,
  })

  test.each([
    ['Valkey 7.2', ['redis_version:7.2.4', 'server_name:valkey', 'valkey_version:7.2.5']],
    ['Valkey 8.1', ['redis_version:7.2.4', 'server_name:valkey', 'valkey_version:8.1.1']],
    ['Redis 7.0', ['redis_version:7.0.0']],
    ['Redis 8.2', ['redis_version:8.2.1']],
    ['Redis 10', ['redis_version:10.0.0']],
  ])('is good enough as %s', async (_what, lines) => {
    await requireSupportedServer(answering(...lines))
  })

  test.each([
    ['Redis 6.2', ['redis_version:6.2.14'], '6.2'],
    ['Redis 5', ['redis_version:5.0.7'], '5.0'],
    ['Redis 2', ['redis_version:2.8.24'], '2.8'],
    ['something else', ['flavour:vanilla'], 'unknown'],
  ])('is refused as %s, and the error says what it is', async (_what, lines, told) => {
    const error = await requireSupportedServer(answering(...lines)).catch((thrown) => thrown)
    expect(isEngineError(error, 'server_unsupported')).toBe(true)
    expect(error.message).toContain(told)
    expect(error.message).toContain('Valkey 7.2')
  })
})

async function libraries(redis: ReturnType<typeof plainClient>): Promise<string[]> {
  const listed = (await redis.call('FUNCTION', 'LIST')) as string[][]
  return listed.map((fields) => fields[fields.indexOf('library_name') + 1] ?? '')
}
