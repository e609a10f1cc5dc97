// What a store promises of its server: how durable it is, and what happens without memory.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startServer } from '../../../scripts/servers.ts'
import { claimAll, claimIds, refusal, submit, work } from '../../support/executions.ts'
import { useServer, useStores } from '../../support/valkey-server.ts'

const open = useStores()

describe.each(['valkey', 'redis'] as const)('The durability of %s', (flavour) => {
  test.each([
    ['memory', []],
    ['memory', ['--appendonly', 'no', '--appendfsync', 'always']],
    ['everysec', ['--appendonly', 'yes']],
    ['everysec', ['--appendonly', 'yes', '--appendfsync', 'everysec']],
    ['everysec', ['--appendonly', 'yes', '--appendfsync', 'no']],
    ['always', ['--appendonly', 'yes', '--appendfsync', 'always']],
    [
      'everysec',
      ['--appendonly', 'yes', '--appendfsync', 'always', '--rename-command', 'CONFIG', ''],
    ],
  ])('is named %s with %j', async (durability, extraArgs) => {
    const server = await startServer({ flavour, extraArgs })
    const { backend } = await open({ url: server.url })
    expect(backend.durability).toBe(durability)
    await backend.close()
    await server.stop()
  })
})

describe('A server that writes always', () => {
  test('has every acknowledged submission after it was killed', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-aof-'))
    const extraArgs = ['--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always']
    const before = await startServer({ flavour: 'valkey', extraArgs })
    const { backend, namespace } = await open({ url: before.url })
    const ids = await Promise.all(Array.from({ length: 50 }, () => submit(backend)))
    before.kill('SIGKILL')
    const after = await startServer({ flavour: 'valkey', extraArgs })
    const again = await open({ url: after.url, namespace })
    const found = await claimAll(again.backend)
    expect(found.map(({ executionId }) => executionId).sort()).toEqual([...ids].sort())
    await again.backend.close()
    await Promise.all([before.stop(), after.stop()])
    rmSync(dir, { recursive: true })
  })
})

describe('A server without memory left', () => {
  const at = useServer('valkey', ['--maxmemory-policy', 'noeviction'])

  test('refuses with server_out_of_memory, writes nothing, and goes on with memory', async () => {
    const { backend } = await open({ url: at.server.url })
    const before = await submit(backend)
    const [claimed] = await claimAll(backend)
    const handle = claimed?.handle ?? expect.fail('no work')
    const dump = await at.dump()
    await at.redis.config('SET', 'maxmemory', '1')
    const calls = [
      () => submit(backend),
      () => claimAll(backend),
      () => backend.complete(handle),
      () => backend.submit(work({ input: new Uint8Array(100_000) })),
    ]
    for (const call of calls) {
      const error = await refusal(call(), 'server_out_of_memory')
      expect(error.family).toBe('ResourceExhausted')
      expect(error.retryable).toBe(true)
      expect(error.message).toContain('memory')
    }
    await Promise.all(calls.map((call) => refusal(call(), 'server_out_of_memory')))
    expect(await at.dump()).toEqual(dump)
    await at.redis.config('SET', 'maxmemory', '0')
    expect(await backend.complete(handle)).toEqual({ outcome: 'completed', replayed: false })
    expect(await backend.describeExecution(before)).toMatchObject({ state: 'terminal.completed' })
  })

  test('does not blind the claims that wait later', async () => {
    const { backend } = await open({ url: at.server.url })
    const id = await submit(backend)
    await at.redis.config('SET', 'maxmemory', '1')
    await refusal(claimIds(backend, { maxWaitMs: 60_000 }), 'server_out_of_memory')
    await at.redis.config('SET', 'maxmemory', '0')
    expect(await claimIds(backend, { maxWaitMs: 60_000 })).toEqual([id])
  })

  test('refuses a store that connects then', async () => {
    await at.redis.config('SET', 'maxmemory', '1')
    const opening = open({ url: at.server.url }).then(({ backend }) => submit(backend))
    await refusal(opening, 'server_out_of_memory')
    await at.redis.config('SET', 'maxmemory', '0')
  })
})
