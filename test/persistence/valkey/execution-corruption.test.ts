// Damaged executions on a server, field by field and as a whole: told, and never guessed at.
import { describe, expect, test, vi } from 'vitest'
import type { EngineBackend } from '../../../src/persistence/backend.ts'
import { brokenRecords, corrupt, localOf, storedField, useDamage } from '../../support/damage.ts'
import {
  claimAll,
  claimIds,
  describeOne,
  submit,
  submitAndClaim,
} from '../../support/executions.ts'
import { useServer } from '../../support/valkey-server.ts'

const at = useServer()
const open = useDamage(at)

describe('A damaged execution', () => {
  const notNumbers = ['', 'x', '1.5', '-1', '1e3', '99999999999999999999']
  const texts = [
    'not_before',
    'deadline_at',
    'priority',
    'retries',
    'reclaims',
    'replays',
    'progress',
  ]

  test.each(texts)('is not described with another %s', async (field) => {
    const { backend, damage } = await open()
    const { executionId } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    for (const value of notNumbers) {
      await damage(key, field, value)
      await corrupt(backend.describeExecution(executionId), key, field)
    }
  })

  test.each(['attempt', 'epoch'])('is not described with another %s', async (field) => {
    const { backend, damage } = await open()
    const { executionId } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    for (const value of notNumbers) {
      await damage(key, field, value)
      await corrupt(backend.describeExecution(executionId), key, field)
    }
  })

  const times = ['created_at', 'updated_at', 'started_at', 'expires_at', 'ended_at', 'lease_ms']

  test.each(times)('is neither described nor renewed with another %s', async (field) => {
    const { backend, damage, keyOf } = await open()
    const { executionId, handle } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    for (const value of ['1.5', '-1', '-1.5', '9007199254740992', '1e300']) {
      await damage(key, field, value)
      const before = await at.redis.getBuffer(keyOf(key))
      await corrupt(backend.describeExecution(executionId), key, field)
      await corrupt(backend.renew(handle), key, field)
      await corrupt(backend.progress(handle, 1), key, field)
      expect(await at.redis.getBuffer(keyOf(key))).toEqual(before)
    }
  })

  test('is told when its times are no numbers at all, or cannot be together', async () => {
    const { backend, damage, keyOf } = await open()
    const { executionId } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    const text = (await at.redis.getBuffer(keyOf(key))) as Buffer
    // The first time stands behind the layout's number and the flags.
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const bytes = Buffer.from(text)
      bytes.writeDoubleLE(value, 2)
      await at.redis.set(keyOf(key), bytes)
      await corrupt(backend.describeExecution(executionId), key, 'created_at')
    }
    await at.redis.set(keyOf(key), text)
    await damage(key, 'created_at', String(Number.MAX_SAFE_INTEGER))
    await corrupt(backend.describeExecution(executionId), key, 'record')
  })

  test('is not described as ended before it ended, nor as open after that', async () => {
    const { backend, damage } = await open()
    const { executionId, handle } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    await damage(key, 'ended_at', '5')
    await corrupt(backend.describeExecution(executionId), key, 'ended_at')
    await damage(key, 'ended_at')
    await backend.complete(handle)
    await damage(key, 'ended_at')
    await corrupt(backend.describeExecution(executionId), key, 'ended_at')
    await corrupt(backend.replayExecution(executionId), key, 'ended_at')
  })

  const places: readonly [where: string, options: object, claim: object][] = [
    ['of its lane', {}, {}],
    ['of its key', { fairnessKey: 'a' }, {}],
    ['of its capabilities', { capabilities: ['gpu'] }, { capabilities: ['gpu'] }],
  ]
  test.each(places)('at the head %s holds up no other work, and comes back', async (...place) => {
    const [, options, claim] = place
    const { backend, damage } = await open()
    const bad = await submit(backend, { ...options, priority: 9 })
    const good = [await submit(backend, options), await submit(backend, options)]
    const key = `x:${localOf(bad)}`
    await damage(key, 'created_at', '-1')
    expect(await claimIds(backend, { ...claim, count: 1 })).toEqual(good.slice(0, 1))
    expect(await claimIds(backend, { ...claim, count: 9 })).toEqual(good.slice(1))
    const { stuck, why } = await backend.drain(0, { again: true })
    expect([stuck, why]).toEqual([1, `${key} created_at is no whole number`])
    await damage(key, 'created_at', '5')
    expect(await claimIds(backend, claim)).toEqual([])
    expect(await backend.drain(0, { again: true })).toMatchObject({ stuck: 0 })
    expect(await claimIds(backend, claim)).toEqual([bad])
  })

  test('whose lease runs out holds up nothing of its partition', async () => {
    const { backend, damage } = await open()
    const lease = { lane: 'short', leaseMs: 1000 }
    const [bad, other] = [
      await submitAndClaim(backend, { lane: 'short' }, lease),
      await submitAndClaim(backend, { lane: 'short' }, lease),
    ]
    const key = `x:${localOf(bad.executionId)}`
    await damage(key, 'expires_at', '-1')
    await vi.waitFor(async () => {
      const [again] = await claimAll(backend, { lane: 'short' })
      expect(again?.executionId).toBe(other.executionId)
    }, 5000)
    expect(await backend.drain(0)).toMatchObject({ stuck: 1 })
    await damage(key, 'expires_at', '5')
    await backend.drain(0, { again: true })
    expect(await claimIds(backend, { lane: 'short' })).toEqual([bad.executionId])
  })

  test('is told when its record is not whole, and stays as it is', async () => {
    const { backend, keyOf } = await open()
    const { executionId, handle } = await submitAndClaim(backend, { priority: 5 })
    const key = `x:${localOf(executionId)}`
    const whole = (await at.redis.getBuffer(keyOf(key))) as Buffer
    for (const [what, bytes] of brokenRecords(whole)) {
      await at.redis.set(keyOf(key), bytes)
      await corrupt(backend.renew(handle), key, 'record').catch((error) => {
        throw new Error(what, { cause: error })
      })
      expect(await at.redis.getBuffer(keyOf(key))).toEqual(bytes)
    }
    await at.redis.set(keyOf(key), whole)
    expect(await describeOne(backend, executionId)).toMatchObject({ priority: 5 })
  })

  test.each<[string, Buffer]>([
    ['no list', Buffer.from([0x05])],
    ['an empty list', Buffer.from([0x90])],
    ['an empty map', Buffer.from([0x80])],
    ['a map', Buffer.from([0x81, 0xa1, 0x61, 0xa1, 0x62])],
    ['a name without a text', Buffer.from([0x91, 0xa1, 0x61])],
    ['a name that is a number', Buffer.from([0x92, 0x01, 0xa1, 0x62])],
    ['a text that is a number', Buffer.from([0x92, 0xa1, 0x61, 0x01])],
    ['a name twice', Buffer.from([0x94, 0xa1, 0x61, 0xa1, 0x62, 0xa1, 0x61, 0xa1, 0x63])],
    ['a field that has its place', Buffer.from([0x92, 0xa4, ...Buffer.from('lane'), 0xa1, 0x62])],
    ['two lists', Buffer.from([0x92, 0xa1, 0x61, 0xa1, 0x62, 0x90])],
  ])('is told when its rare fields are %s', async (_what, rare) => {
    const { backend, keyOf } = await open()
    const id = await submit(backend)
    const key = `x:${localOf(id)}`
    const placed = (await at.redis.getBuffer(keyOf(key))) as Buffer
    expect(placed[1]).toBe(0)
    placed[1] = 2
    await at.redis.set(keyOf(key), Buffer.concat([placed, rare]))
    await corrupt(backend.describeExecution(id), key, 'record')
  })

  test('is not taken for missing when its key holds something else', async () => {
    const { backend, keyOf } = await open()
    const { executionId, handle } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    await at.redis.del(keyOf(key))
    expect(await backend.describeExecution(executionId)).toBeUndefined()
    await at.redis.hset(keyOf(key), 'state', 'leased.held')
    await corrupt(backend.describeExecution(executionId), key, 'record')
    await corrupt(backend.complete(handle), key, 'record')
    expect(await at.redis.hgetall(keyOf(key))).toEqual({ state: 'leased.held' })
  })

  test.each(['lane', 'task', 'state', 'created_at', 'updated_at', 'worker', 'epoch', 'attempt'])(
    'is not described without its %s',
    async (field) => {
      const { backend, damage } = await open()
      const { executionId } = await submitAndClaim(backend)
      const key = `x:${localOf(executionId)}`
      await damage(key, field)
      await corrupt(backend.describeExecution(executionId), key, field)
    },
  )

  test.each<[string, string | undefined]>([
    ['state', undefined],
    ['state', 'asleep'],
    ['lease_id', undefined],
    ['epoch', undefined],
    ['epoch', 'x'],
    ['attempt', undefined],
    ['attempt', 'first'],
    ['expires_at', undefined],
    ['expires_at', '-1'],
    ['lease_ms', undefined],
    ['lease_ms', '-5'],
    ['lease_ms', '0.5'],
    ['deadline_at', 'never'],
    ['deadline_at', '1e99'],
    ['attempt_deadline_at', '1.5'],
  ])('is not renewed with its %s as %s, and stays as it is', async (field, value) => {
    const { backend, damage, keyOf } = await open()
    const { executionId, handle } = await submitAndClaim(backend)
    const key = `x:${localOf(executionId)}`
    await damage(key, field, value)
    const before = await at.redis.getBuffer(keyOf(key))
    await corrupt(backend.renew(handle), key, field)
    expect(await at.redis.getBuffer(keyOf(key))).toEqual(before)
  })

  test.each<[string, string, (backend: EngineBackend, id: string) => Promise<unknown>]>([
    ['created_at', '1.5', (backend, id) => backend.changePriority(id, 5)],
    ['priority', 'high', (backend, id) => backend.changePriority(id, 5)],
    ['deadline_at', 'x', (backend, id) => backend.changePriority(id, 5)],
    ['not_before', 'x', (backend, id) => backend.blockExecution(id, 'why')],
    ['grant_until', 'x', (backend, id) => backend.issueClaimGrant(id, { worker: 'w' })],
  ])('with another %s is not changed', async (field, value, call) => {
    const { backend, damage, keyOf } = await open()
    const id = await submit(backend)
    const key = `x:${localOf(id)}`
    await damage(key, field, value)
    const before = await at.redis.getBuffer(keyOf(key))
    await corrupt(call(backend, id), key, field)
    expect(await at.redis.getBuffer(keyOf(key))).toEqual(before)
  })

  test('is not retried by a policy that does not parse', async () => {
    const { backend, damage } = await open()
    const { executionId, handle } = await submitAndClaim(backend, { retry: { attempts: 2 } })
    const key = `x:${localOf(executionId)}`
    await damage(key, 'retry', 'often')
    await corrupt(backend.fail(handle, { message: 'no' }, 'transient'), key, 'retry')
  })

  test('does not answer from a settlement that does not parse', async () => {
    const { backend, damage } = await open()
    const { executionId, handle } = await submitAndClaim(backend)
    await backend.complete(handle)
    const key = `x:${localOf(executionId)}`
    await damage(key, 'settled', 'done')
    await corrupt(backend.complete(handle), key, 'settled')
  })

  test('is not taken for that of an idempotency key', async () => {
    const { backend, keyOf } = await open()
    const id = await submit(backend, { idempotencyKey: 'once' })
    const key = await storedField(at.redis, keyOf(`x:${localOf(id)}`), 'key')
    await at.redis.set(keyOf(`key:${key}`), 'nonsense')
    await corrupt(submit(backend, { idempotencyKey: 'once' }), `key:${key}`, 'record')
  })

  test('is told beside the good ones by a search', async () => {
    const { backend, damage, keyOf } = await open()
    const tags = { a: '1' }
    const good = await submit(backend, { tags })
    const damaged = await Promise.all(Array.from({ length: 6 }, () => submit(backend, { tags })))
    const [unknown, without, gone, untagged, another, garbage] = damaged.map(localOf)
    await damage(`x:${unknown}`, 'state', 'asleep')
    await damage(`x:${without}`, 'task')
    await at.redis.del(keyOf(`x:${gone}`))
    await at.redis.del(keyOf(`tagged:${untagged}`))
    await at.redis.del(keyOf(`x:${another}`))
    await at.redis.hset(keyOf(`x:${another}`), 'lane', 'main')
    await at.redis.set(keyOf(`x:${garbage}`), 'garbage')
    const page = await backend.searchExecutions({ tag: { name: 'a' } }, undefined, 10)
    expect(page.items.map(({ executionId }) => executionId)).toEqual([good])
    const told = new Map(page.corrupt.map(({ id, detail }) => [localOf(id), detail]))
    expect(told).toEqual(
      new Map([
        [unknown, `x:${unknown}: state: is unknown`],
        [without, `x:${without}: task: is missing`],
        [gone, `x:${gone}: record: is missing`],
        [another, `x:${another}: record: is no string`],
        [garbage, `x:${garbage}: record: does not parse`],
        [untagged, `tagged:${untagged}: record: is missing`],
      ]),
    )
    // What can be judged and does not fit is not shown.
    const other = await backend.searchExecutions({ lane: 'elsewhere' }, undefined, 10)
    expect(other.items).toEqual([])
    expect(other.corrupt.map(({ id }) => localOf(id))).toEqual([gone, another, garbage].sort())
  })
})
