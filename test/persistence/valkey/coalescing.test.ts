// Coalescing: what is called in one tick travels as one server call, and stays apart all the same.
import { describe, expect, test } from 'vitest'
import { claimAll, claimOne, submit, work } from '../../support/executions.ts'
import { useServer, useStores } from '../../support/valkey-server.ts'

const at = useServer()
const open = useStores()

/** How many server calls the operations took. */
async function calls(operations: () => Promise<unknown>): Promise<number> {
  await at.forgetCalls()
  await operations()
  return at.calls('fcall')
}

describe('Operations of one tick', () => {
  test('are one server call', async () => {
    const { backend } = await open({ url: at.server.url })
    const submissions = Array.from({ length: 30 }, () => work())
    expect(await calls(() => backend.submitMany(submissions))).toBe(1)
    const claimed = await claimAll(backend)
    expect(claimed).toHaveLength(30)
    const handles = claimed.map(({ handle }) => handle)
    expect(await calls(() => backend.renewMany(handles))).toBe(1)
    const complete = () => Promise.all(handles.map((handle) => backend.complete(handle)))
    expect(await calls(complete)).toBe(1)
  })

  test('are one server call when the tick is that of a promise', async () => {
    const { backend } = await open({ url: at.server.url })
    const later = () =>
      Array.from({ length: 20 }, () => Promise.resolve().then(() => submit(backend)))
    expect(await calls(() => Promise.all(later()))).toBe(1)
  })

  test('are one server call for each partition that they concern', async () => {
    const { backend } = await open({ url: at.server.url, partitions: 4 })
    const ids: string[] = []
    const submitAll = async () => {
      ids.push(...(await Promise.all(Array.from({ length: 40 }, () => submit(backend)))))
    }
    const count = await calls(submitAll)
    expect(count).toBe(new Set(ids.map((id) => id.split('-')[0])).size)
  })

  test('are several server calls when they are very many or very large', async () => {
    const { backend } = await open({ url: at.server.url })
    const many = Array.from({ length: 300 }, () => work())
    const count = await calls(() => backend.submitMany(many))
    expect(count).toBeGreaterThan(1)
    expect(count).toBeLessThan(30)
    const large = Array.from({ length: 9 }, () => work({ input: new Uint8Array(1_000_000) }))
    expect(await calls(() => backend.submitMany(large))).toBe(3)
  })

  test('read their records with one command, and write all strings with one', async () => {
    const { backend } = await open({ url: at.server.url })
    await backend.submitMany(Array.from({ length: 10 }, () => work()))
    const claimed = await claimAll(backend)
    await at.forgetCalls()
    await Promise.all(claimed.map(({ handle }) => backend.complete(handle, Buffer.from('result'))))
    const counts = await Promise.all(['mget', 'mset', 'get', 'set'].map(at.calls))
    expect(counts).toEqual([1, 1, 0, 0])
  })

  test.each([
    ['comes with the claim of one', [4096], 1, 1],
    ['is fetched beside the claim of one when it is very large', [16_385], 1, 2],
    ['is fetched beside a claim of more, with all others', [4096, 4096], 2, 2],
  ])('a large input %s', async (_, sizes, count, mgets) => {
    const { backend } = await open({ url: at.server.url })
    const inputs = sizes.map((size) => Buffer.alloc(size, 'input'))
    await backend.submitMany(inputs.map((input) => work({ input })))
    await at.forgetCalls()
    const claimed = await claimAll(backend, { count })
    expect(claimed.map(({ input }) => Buffer.from(input))).toEqual(inputs)
    // The first one reads the records.
    expect(await at.calls('mget')).toBe(mgets)
  })

  test('see what those before them wrote', async () => {
    const { backend } = await open({ url: at.server.url })
    const { handle, executionId } = await submit(backend).then(() => claimOne(backend))
    const [, , ended, described] = await Promise.all([
      backend.progress(handle, 50, 'half'),
      backend.complete(handle, Buffer.from('result')),
      backend.watch(executionId),
      backend.describeExecution(executionId),
    ])
    expect(ended).toMatchObject({ outcome: 'completed', result: Buffer.from('result') })
    expect(described).toMatchObject({ state: 'terminal.completed' })
    const [purged, gone] = await Promise.all([
      backend.purgeExecution(executionId),
      backend.describeExecution(executionId),
    ])
    expect([purged, gone]).toEqual([{ outcome: 'purged' }, undefined])
  })

  test('of two ticks are two server calls', async () => {
    const { backend } = await open({ url: at.server.url })
    const twice = async () => {
      await submit(backend)
      await submit(backend)
    }
    expect(await calls(twice)).toBe(2)
  })

  test('are applied in the order of the calls', async () => {
    const { backend } = await open({ url: at.server.url })
    const [id, claimed, none] = await Promise.all([
      submit(backend),
      claimOne(backend),
      claimAll(backend),
    ])
    expect(claimed.executionId).toBe(id)
    expect(none).toEqual([])
    const outcomes = await Promise.all([
      backend.complete(claimed.handle),
      backend.complete(claimed.handle),
      backend.replayExecution(id),
      claimOne(backend),
    ])
    expect(outcomes).toMatchObject([
      { replayed: false },
      { replayed: true },
      { replays: 1 },
      { executionId: id, attempt: 1 },
    ])
  })

  test('do not suffer from one that is refused', async () => {
    const { backend } = await open({ url: at.server.url })
    await Promise.all([submit(backend), submit(backend), submit(backend)])
    const [a, b, c] = await claimAll(backend)
    if (a === undefined || b === undefined || c === undefined) return expect.fail('no work')
    await backend.revokeLease(b.executionId)
    const settle = () => Promise.allSettled([a, b, c].map(({ handle }) => backend.complete(handle)))
    await at.forgetCalls()
    expect(await settle()).toMatchObject([
      { status: 'fulfilled', value: { outcome: 'completed' } },
      { status: 'rejected', reason: { code: 'lease_revoked' } },
      { status: 'fulfilled', value: { outcome: 'completed' } },
    ])
    expect(await at.calls('fcall')).toBe(1)
  })

  test('do not suffer from one that meets a broken record, which is named', async () => {
    const { backend, namespace } = await open({ url: at.server.url })
    await Promise.all([submit(backend), submit(backend), submit(backend)])
    const claimed = await claimAll(backend)
    const broken = claimed[1]?.executionId.split('-')[1] ?? expect.fail('no work')
    await at.redis.set(`{hf:${namespace}:0}:x:${broken}`, 'broken')
    await at.forgetCalls()
    const renewals = await Promise.allSettled(claimed.map(({ handle }) => backend.renew(handle)))
    expect(await at.calls('fcall')).toBe(1)
    expect(renewals.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    const details = { key: `x:${broken}`, field: 'record' }
    expect(renewals[1]).toMatchObject({ reason: { code: 'corruption', details } })
  })

  test('refuse a record of a layout that they do not know', async () => {
    const { backend, namespace } = await open({ url: at.server.url })
    const { handle, executionId } = await submit(backend).then(() => claimOne(backend))
    const key = `x:${executionId.split('-')[1]}`
    await at.redis.setrange(`{hf:${namespace}:0}:${key}`, 0, '\u0009')
    const details = { key, field: 'record', why: 'is of layout 9' }
    const refused = { code: 'corruption', details }
    await expect(backend.complete(handle)).rejects.toMatchObject(refused)
  })

  test('that are wrong in themselves are never sent', async () => {
    const { backend } = await open({ url: at.server.url })
    const wrong = Array.from({ length: 5 }, () => work({ priority: -1 }))
    expect(await calls(() => backend.submitMany(wrong))).toBe(0)
  })
})
