// The clock of the shipped library: the server's own, and nobody can set it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { shippedLibrary } from '../../../src/persistence/valkey/library.ts'
import { claimOne, describeOne, submit } from '../../support/executions.ts'
import { testLibrary } from '../../support/settable-clock.ts'
import { useServer, useStores } from '../../support/valkey-server.ts'
import { type BatchOf, learnBatches } from '../../support/wire.ts'

describe.each(['valkey', 'redis'] as const)('The shipped library on %s', (flavour) => {
  const at = useServer(flavour)
  const open = useStores()
  const { name, source } = shippedLibrary
  let batchOf: BatchOf

  beforeAll(async () => {
    batchOf = await learnBatches(at.server.url, name)
  })

  const serverTimeUs = async () => {
    const [seconds, micros] = await at.redis.time()
    return Number(seconds) * 1_000_000 + Number(micros)
  }

  test('registers two functions and no more', async () => {
    await open({ url: at.server.url })
    const [library] = (await at.redis.call('FUNCTION', 'LIST')) as [unknown[]]
    const functions = library[library.indexOf('functions') + 1] as string[][]
    const names = functions.map((fields) => fields[fields.indexOf('name') + 1])
    expect(names.sort()).toEqual([name, `${name}_read`])
  })

  test('has a source that offers no way to set a clock', () => {
    expect(source).not.toContain('_clock"')
    expect(source.match(/register_function\(/g)).toHaveLength(2)
    const clock = /modules\["lib\.clock"\] = function\(\)\n([\s\S]*?)\nend\nmodules\[/.exec(source)
    expect(clock?.[1]).toContain('redis.call("TIME")')
    // Nothing outlives a call that could hold a time: no local but the module itself.
    expect(clock?.[1]?.match(/^local .*$/gm)).toEqual(['local clock = {}'])
    expect(testLibrary.source).toContain('_clock"')
    expect(testLibrary.name).not.toBe(name)
  })

  test.each([
    ['a time after the arguments', ['partition.sweep', '5', '1']],
    ['a time before the operation', ['2000000000000', 'partition.sweep', '5']],
    ['a time as the name of an operation', ['clock', '1']],
    ['an operation that sets the clock', ['clock.set', '1']],
  ])('refuses %s', async (_what, args) => {
    const before = await at.dump()
    const [library, , ...wire] = batchOf('{hf:n:0}', args) as string[]
    for (const keys of ['1', '2']) {
      const call = at.redis.call('FCALL', library ?? '', keys, ...wire)
      await expect(call).rejects.toThrow(/MALFORMED/)
    }
    await expect(at.redis.call('FCALL', `${name}_clock`, 0, '1')).rejects.toThrow(/not found/)
    expect(await at.dump()).toEqual(before)
  })

  test('takes every time and every epoch from TIME', async () => {
    const { backend } = await open({ url: at.server.url })
    const before = await serverTimeUs()
    const id = await submit(backend)
    const { epoch, expiresAtMs } = await claimOne(backend, { leaseMs: 1000 })
    const after = await serverTimeUs()
    expect(epoch).toBeGreaterThan(before)
    expect(epoch).toBeLessThan(after)
    expect(expiresAtMs).toBeGreaterThanOrEqual(Math.floor(before / 1000) + 1000)
    expect(expiresAtMs).toBeLessThanOrEqual(Math.floor(after / 1000) + 1000)
    const { createdAtMs, updatedAtMs } = await describeOne(backend, id)
    expect(createdAtMs).toBeGreaterThanOrEqual(Math.floor(before / 1000))
    expect(updatedAtMs).toBe(Math.floor(epoch / 1000))
  })

  describe('beside the library of the tests', () => {
    beforeAll(async () => {
      await at.redis.call('FUNCTION', 'LOAD', 'REPLACE', testLibrary.source)
      await at.redis.call('FCALL', `${testLibrary.name}_clock`, 0, 1)
    })
    afterAll(async () => void (await at.redis.call('FUNCTION', 'DELETE', testLibrary.name)))

    test('does not hear what that one is told', async () => {
      const { backend } = await open({ url: at.server.url })
      const before = await serverTimeUs()
      await submit(backend)
      expect((await claimOne(backend)).epoch).toBeGreaterThan(before)
    })
  })
})
