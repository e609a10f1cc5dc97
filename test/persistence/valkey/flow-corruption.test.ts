// Damaged flows and groups on a server: told by key and field, and never counted with.
import { describe, expect, test } from 'vitest'
import { drainLoop } from '../../../src/actors/drainer.ts'
import type { Handle } from '../../../src/persistence/backend.ts'
import { corrupt, localOf, ownField, useDamage } from '../../support/damage.ts'
import { startFlow } from '../../support/flows.ts'
import { useServer } from '../../support/valkey-server.ts'

const at = useServer()
const open = useDamage(at)

/** A flow in which a damaged member b waits for the first, as a sound one does beside it. */
async function chain() {
  const opened = await open()
  const flow = await startFlow(opened.backend, {
    nodes: ['a', 'b', 'c', 'd'],
    edges: ['a>b', 'a>d'],
  })
  return {
    ...opened,
    flow,
    key: `flow:${localOf(flow.flowId)}`,
    group: `group:${localOf(flow.id('b'))}`,
    upstream: localOf(flow.id('a')),
  }
}

describe('A damaged flow', () => {
  test.each<[string, string | undefined]>([
    ['state', 'nonsense'],
    ['state', undefined],
    ['created_at', 'x'],
    ['created_at', undefined],
    ['updated_at', '1.5'],
    ['members', '-1'],
    ['blocked', '1e30'],
    ['kind', undefined],
    ['failure', 'nonsense'],
  ])('is not described with its %s as %s', async (field, value) => {
    const { backend, damage, flow, key } = await chain()
    await damage(key, field, value)
    const name = field === 'failure' ? 'flow_failure' : field
    await corrupt(backend.describeFlow(flow.flowId), key, name)
  })

  test('whose fields do not parse is told, and counts for nothing', async () => {
    const { backend, flow, key, keyOf } = await chain()
    const claims = await flow.claim()
    for (const bytes of [
      '',
      'broken',
      Buffer.from([0x81, 0xa1, 0x61]),
      Buffer.from([0x91, 0x01]),
    ]) {
      await at.redis.hset(keyOf(key), '', bytes)
      await corrupt(backend.describeFlow(flow.flowId), key, 'fields')
      await corrupt(backend.complete(claims.get('a')?.handle as Handle), key, 'fields')
      const { items, corrupt: damaged } = await backend.listFlows(0, undefined, 10)
      expect([items, damaged.map(({ id }) => id)]).toEqual([[], [flow.flowId]])
    }
  })

  test('is told beside the good ones by the list', async () => {
    const { backend, damage, flow, key } = await chain()
    const others = [await startFlow(backend, { nodes: ['a'] })]
    others.push(await startFlow(backend, { nodes: ['a'] }))
    for (const [field, value, why] of [
      ['created_at', 'x', 'created_at: no whole number'],
      ['state', 'y', 'state: unknown: y'],
    ] as const) {
      await damage(key, field, value)
      const pages = [await backend.listFlows(0, undefined, 1)]
      for (let next = pages[0]?.nextCursor; next !== undefined; next = pages.at(-1)?.nextCursor) {
        pages.push(await backend.listFlows(0, next, 1))
      }
      const found = pages.flatMap(({ items }) => items.map(({ flowId }) => flowId))
      expect(found).toEqual(others.map(({ flowId }) => flowId).sort())
      const damaged = pages.flatMap((page) => page.corrupt)
      expect(damaged).toHaveLength(1)
      expect(damaged[0]).toMatchObject({ id: flow.flowId })
      expect(damaged[0]?.detail).toContain(why)
      if (field === 'created_at') await damage(key, field, '1')
    }
  })

  test.each([
    ['members', 'x'],
    ['active', '1.5'],
    ['state', 'nonsense'],
  ])('does not let a member end with its %s as %s', async (field, value) => {
    const { backend, damage, flow, key } = await chain()
    const claims = await flow.claim()
    await damage(key, field, value)
    await corrupt(backend.complete(claims.get('a')?.handle as Handle), key, field)
  })

  test('that is gone is missed by its members', async () => {
    const { backend, flow, key, keyOf } = await chain()
    await at.redis.del(keyOf(key))
    await corrupt(backend.cancelExecution(flow.id('a'), 'nobody needs it'), key, 'state')
  })
})

describe('A damaged group', () => {
  test.each([
    ['n', 'x'],
    ['s', '-1'],
    ['state', 'nonsense'],
  ])('decides nothing with its %s as %s, and is told until it is mended', async (field, value) => {
    const { backend, damage, flow, group, keyOf } = await chain()
    const before = await ownField(at.redis, keyOf(group), field)
    await damage(group, field, value)
    await flow.run({ a: 'completes', c: 'completes' })
    expect(await flow.states('d')).toEqual({ d: 'waiting' })
    await corrupt(backend.describeExecution(flow.id('b')), group, field)
    const drained = await backend.drain(0)
    expect(drained).toMatchObject({ left: 0, stuck: 1 })
    expect(drained.why).toMatch(new RegExp(`^${group} ${field} `))
    expect(await backend.drain(0, { again: true })).toMatchObject({ left: 0, stuck: 1 })
    await damage(group, field, before)
    expect(await backend.drain(0, { again: true })).toMatchObject({ left: 0, stuck: 0 })
    expect(await flow.states('b')).toEqual({ b: 'waiting' })
  })

  test('is reported by an engine', async () => {
    const { backend, damage, flow, group } = await chain()
    await damage(group, 'n', 'x')
    const control = new AbortController()
    const told = new Promise((resolve) => {
      void drainLoop(backend, resolve)(control.signal)
    })
    await flow.run({ a: 'completes', c: 'completes' })
    expect(await told).toMatchObject({ code: 'corruption', details: { partition: 0, stuck: 1 } })
    control.abort()
  })

  test('takes no vote by an edge that does not parse, and tells it', async () => {
    const { backend, damage, flow, group, upstream } = await chain()
    await damage(group, upstream, 's u 0')
    await flow.run({ a: 'completes', c: 'completes' })
    expect(await backend.drain(0)).toMatchObject({ stuck: 1, why: expect.stringContaining(group) })
    await corrupt(backend.listEdges(flow.flowId, { incoming: flow.id('b') }), group, upstream)
  })
})
