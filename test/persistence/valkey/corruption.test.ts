// Damaged records on a server, one field at a time: told by key and field, and never guessed at.
import { describe, expect, test } from 'vitest'
import { corrupt, localOf, useDamage } from '../../support/damage.ts'
import { describeOne, frame, refusal, submit, submitAndClaim } from '../../support/executions.ts'
import { send, suspendClaimed } from '../../support/suspensions.ts'
import { useServer } from '../../support/valkey-server.ts'

const at = useServer()
const open = useDamage(at)

/** A suspended execution with one signal that did not resume it. */
async function waiting() {
  const opened = await open()
  const { backend } = opened
  const claimed = await submitAndClaim(backend)
  const options = {
    condition: { kind: 'count', count: 3, of: 'signals', waitpoints: ['a'] },
    timeoutMs: 60_000,
  } as const
  const found = await suspendClaimed(opened, claimed, { waitpoints: [{ key: 'a' }], ...options })
  await send(opened, found.token, { name: 'first', idempotencyKey: 'k' })
  const point = found.waitpoints[0]?.waitpointId as string
  return { ...opened, ...found, local: localOf(found.id), point }
}

describe('A damaged suspension', () => {
  test.each<[string, string | undefined]>([
    ['points', undefined],
    ['condition', undefined],
    ['condition', 'nonsense'],
    ['count', 'x'],
    ['count', undefined],
  ])('takes no signal with its %s as %s', async (field, value) => {
    const { damage, backend, local, token } = await waiting()
    await damage(`wait:${local}`, field, value)
    await corrupt(backend.deliverSignal({ token }), `wait:${local}`, field)
  })

  test.each<[string, string | undefined]>([
    ['reason', undefined],
    ['at', 'x'],
    ['behaviour', 'sleep'],
    ['timeout_at', 'x'],
    ['count', '-1'],
    ['closed_at', 'x'],
  ])('is not described with its %s as %s', async (field, value) => {
    const { damage, backend, local, id } = await waiting()
    await damage(`wait:${local}`, field, value)
    await corrupt(backend.describeExecution(id), `wait:${local}`, field)
  })

  test('that is gone is missed', async () => {
    const { backend, keyOf, local, id } = await waiting()
    await at.redis.del(keyOf(`wait:${local}`))
    await corrupt(backend.resumeExecution(id), `wait:${local}`, 'record')
  })

  test('is told beside the good ones by the list', async () => {
    const { damage, backend, local, id } = await waiting()
    await damage(`wait:${local}`, 'at', 'x')
    const { items, corrupt: damaged } = await backend.listSuspended(0, undefined, 10)
    expect(items).toEqual([])
    expect(damaged).toEqual([{ id, detail: `wait:${local}: at: no whole number` }])
  })
})

describe('A damaged waitpoint', () => {
  const words = [
    ...['key', 'kid', 'attempt', 'run', 'scope', 'state', 'created_at', 'expires_at'],
    ...['suspension', 'closed_at', 'reason', 'last_at', 'count'],
  ]

  test.each(['attempt', 'run', 'state', 'created_at', 'expires_at', 'last_at', 'count'])(
    'with another %s takes no signal, and is told beside the good ones',
    async (name) => {
      const { damage, backend, keyOf, local, id, point, token } = await waiting()
      const text = (await at.redis.hget(keyOf(`points:${local}`), point)) as string
      const damaged = text.split(' ')
      damaged[words.indexOf(name)] = 'x'
      await damage(`points:${local}`, point, damaged.join(' '))
      await refusal(backend.deliverSignal({ token }), 'corruption', { key: `points:${local}` })
      const page = await backend.listWaitpoints(id)
      expect(page).toMatchObject({ items: [], corrupt: [{ id: point }] })
      expect(page.corrupt[0]?.detail).toContain(`points:${local}: ${point}: ${name}`)
    },
  )

  test('that is cut off is told by its list and by its token', async () => {
    const { damage, backend, local, id, point, token } = await waiting()
    await damage(`points:${local}`, point, 'a k1 0')
    await corrupt(backend.deliverSignal({ token }), `points:${local}`, point)
    await corrupt(backend.waitpointToken(id, point), `points:${local}`, point)
    const detail = `points:${local}: ${point}: does not parse`
    const { corrupt: damaged } = await backend.listWaitpoints(id, { withSignals: true })
    expect(damaged).toEqual([{ id: point, detail }])
  })

  test('that is gone is missed by the end of its suspension', async () => {
    const { damage, backend, local, id, point } = await waiting()
    await damage(`points:${local}`, point)
    await corrupt(backend.resumeExecution(id), `points:${local}`, point)
  })
})

describe('A damaged signal', () => {
  test('is told beside the good ones', async () => {
    const opened = await waiting()
    const { damage, backend, keyOf, local, id, token } = opened
    await send(opened, token, { name: 'second' })
    const text = (await at.redis.hget(keyOf(`signals:${local}`), '1')) as string
    const parts = text.split(' ')
    const damages = [
      ...['', 'nonsense', text.slice(0, -1), `${text}x`],
      parts.with(6, 'x').join(' '),
      parts.with(7, 'x').join(' '),
    ]
    for (const value of damages) {
      await damage(`signals:${local}`, '1', value)
      const page = await backend.listSignals(id, 0, 10)
      expect(page.items.map(({ name }) => name)).toEqual(['second'])
      const detail = `signals:${local}: 1: does not parse`
      expect(page.corrupt).toEqual([{ id: '1', detail }])
    }
    await damage(`signals:${local}`, '1', parts.with(8, 'nothing').join(' '))
    const detail = `signals:${local}: 1: its effect is unknown`
    const { corrupt: damaged } = await backend.listSignals(id, 0, 10)
    expect(damaged).toEqual([{ id: '1', detail }])
    const points = await backend.listWaitpoints(id, { withSignals: true })
    expect(points).toMatchObject({ items: [], corrupt: [{ id: opened.point, detail }] })
    expect(await backend.listWaitpoints(id)).toMatchObject({ corrupt: [] })
  })

  test('is not taken for one that was sent before', async () => {
    const { damage, backend, local, point, token } = await waiting()
    const again = { token, name: 'first', idempotencyKey: 'k' }
    await damage(`signals:${local}`, `k${point} k`, 'x')
    await corrupt(backend.deliverSignal(again), `signals:${local}`, `k${point} k`)
    await damage(`signals:${local}`, `k${point} k`, '7')
    await corrupt(backend.deliverSignal(again), `signals:${local}`, '7')
  })

  test('is not counted, nor is its sender', async () => {
    const { damage, backend, keyOf, local, token } = await waiting()
    const names = Object.keys(await at.redis.hgetall(keyOf(`signals:${local}`)))
    const sender = names.find((name) => name.startsWith('r')) as string
    await damage(`signals:${local}`, sender, 'often')
    await corrupt(backend.deliverSignal({ token }), `signals:${local}`, sender)
    await damage(`signals:${local}`, sender)
    await damage(`signals:${local}`, 'count', 'many')
    await corrupt(backend.deliverSignal({ token }), `signals:${local}`, 'count')
  })
})

describe('A damaged partition', () => {
  test.each(['signals_per_execution', 'signals_per_sender'])(
    'does not guess what is allowed: %s',
    async (field) => {
      const { damage, backend, token } = await waiting()
      await damage('config', field, 'many')
      await corrupt(backend.deliverSignal({ token }), 'config', field)
    },
  )

  test('does not take work for a lane in no state, and lists the others', async () => {
    const { damage, backend } = await open()
    await submit(backend, { lane: 'good' })
    await submit(backend, { lane: 'bad' })
    await damage('lanes', 'bad', 'open')
    await corrupt(submit(backend, { lane: 'bad' }), 'lanes', 'bad')
    const { items, corrupt: damaged } = await backend.listLanes(undefined, 10)
    expect(items).toEqual([{ lane: 'good', state: 'active' }])
    expect(damaged).toEqual([{ id: 'bad', detail: 'lanes: bad: unknown: open' }])
  })

  test.each<[string, string | undefined, string]>([
    ['sk1', '!', 'sk1'],
    ['sk1', undefined, 'current'],
    ['current', 'k2', 'current'],
    ['current', undefined, 'current'],
    ['x1', 'x', 's1'],
    ['other', 'x', 'other'],
  ])('does not sign when %s of its keyring is %s', async (field, value, told) => {
    const { damage, backend, id, point } = await waiting()
    if (field === 'x1') await damage('keyring', 's1', 's'.repeat(43))
    await damage('keyring', field, value)
    const named = field === 'x1' ? 'x1' : told
    await corrupt(backend.waitpointToken(id, point), 'keyring', named)
  })
})

describe('A damaged stream', () => {
  async function streaming() {
    const opened = await open()
    const { executionId, handle } = await submitAndClaim(opened.backend)
    await opened.backend.appendFrame(handle, frame('a', { correlationId: 'call' }))
    return { ...opened, id: executionId, handle, local: localOf(executionId) }
  }

  test('is neither read nor written', async () => {
    const { backend, damage, id, handle, local } = await streaming()
    await damage(`streams:${local}`, '0', 'nonsense')
    await corrupt(backend.readStream(id, 0, { count: 10 }), `streams:${local}`, '0')
    await corrupt(backend.appendFrame(handle, frame('b')), `streams:${local}`, '0')
    await damage(`streams:${local}`, '0')
    await corrupt(backend.complete(handle), `streams:${local}`, '0')
  })

  test('does not show a frame that does not parse', async () => {
    const { backend, keyOf, id, local } = await streaming()
    const key = `frames:${local}:0`
    const [packed = ''] = await at.redis.lrange(keyOf(key), 0, 0)
    const read = () => backend.readStream(id, 0, { count: 10 })
    await at.redis.lset(keyOf(key), 0, packed.replace(' d ', ' z '))
    await corrupt(read(), key, 'header')
    await at.redis.lset(keyOf(key), 0, packed.replace(/ 4\n/, ' 400\n'))
    await corrupt(read(), key, '1 correlation')
  })

  test('does not show a document that does not parse', async () => {
    const { backend, keyOf, id, handle, local } = await streaming()
    const patch = { ...frame('{"a":1}'), mode: 'summary' } as const
    await backend.appendFrame(handle, patch)
    await at.redis.set(keyOf(`summary:${local}:0`), 'nonsense')
    await corrupt(backend.readSummary(id, 0), `summary:${local}:0`, 'record')
    await corrupt(backend.appendFrame(handle, patch), `summary:${local}:0`, 'record')
    expect(await describeOne(backend, id)).toMatchObject({ state: 'leased.held' })
  })
})
