// What only the embedded store does: batches, notices, durable answers, rebuilding, its dump.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { EngineError } from '../../../src/errors.ts'
import { digest } from '../../../src/ids.ts'
import type { Arguments } from '../../../src/persistence/contract.ts'
import { openDirectory, type RecordDirectory } from '../../../src/persistence/embedded/directory.ts'
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../../src/persistence/embedded/embedded-store.ts'
import type { ClaimedRow } from '../../../src/persistence/generated/operations.ts'
import type { StoreNotice } from '../../../src/persistence/store.ts'
import type { Clock } from '../../../src/time.ts'

const startMs = 2_000_000_000_000

class SettableClock implements Clock {
  nowMs = startMs
  nowUs() {
    return this.nowMs * 1000
  }
}

/** Records in memory whose commits happen when the test says so. */
class HeldDirectory implements RecordDirectory {
  readonly records = new Map<string, Uint8Array>()
  readonly commits: ReadonlyMap<string, Uint8Array | undefined>[] = []
  held = false
  private readonly waiting: { done(): void; fail(error: Error): void }[] = []

  load() {
    return [...this.records].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  async commit(changes: ReadonlyMap<string, Uint8Array | undefined>) {
    this.commits.push(changes)
    if (this.held) {
      await new Promise<void>((resolve, reject) => {
        this.waiting.push({ done: resolve, fail: reject })
      })
    }
    for (const [key, value] of changes) {
      if (value === undefined) this.records.delete(key)
      else this.records.set(key, Buffer.from(value))
    }
  }

  async close() {}

  /** Lets the oldest commit under way succeed. */
  release() {
    this.waiting.shift()?.done()
  }

  break(error: Error) {
    this.waiting.shift()?.fail(error)
  }
}

let ids = 0
const nextId = () => String(++ids).padStart(26, '0')

type Submission = Arguments<'execution.submit'>

function submission(changes: Partial<Submission> = {}): Submission {
  return {
    id: nextId(),
    lane: 'mail',
    task: 'send',
    input: Buffer.from('{}'),
    key: undefined,
    fingerprint: undefined,
    not_before: undefined,
    delay_ms: undefined,
    priority: undefined,
    deadline_at: undefined,
    deadline_ms: undefined,
    attempt_timeout_ms: undefined,
    retention_ms: undefined,
    reclaims_max: undefined,
    capabilities: undefined,
    retry: undefined,
    tags: undefined,
    ...changes,
  }
}

let claims = 0

function claimOf(changes: Partial<Arguments<'lease.claim'>> = {}): Arguments<'lease.claim'> {
  claims++
  return {
    lanes: 'mail',
    capabilities: '',
    kinds: 'frc',
    count: 10,
    worker: 'w',
    lease_id: `claim-${claims}`,
    lease_ms: 30_000,
    sleep_ms: undefined,
    ...changes,
  }
}

async function claim(
  store: EmbeddedStore,
  changes: Partial<Arguments<'lease.claim'>> = {},
): Promise<readonly ClaimedRow[]> {
  const answer = await store.call(0, 'lease.claim', claimOf(changes))
  return answer.outcome === 'claimed' ? answer.rows : []
}

const fenceOf = ({ id, attempt, lease_id, epoch }: ClaimedRow) => ({ id, attempt, lease_id, epoch })

function complete(store: EmbeddedStore, row: ClaimedRow) {
  const args = { ...fenceOf(row), digest: digest('done'), result: Buffer.from('1') }
  return store.call(0, 'execution.complete', args)
}

async function listenTo(store: EmbeddedStore): Promise<StoreNotice[]> {
  const heard: StoreNotice[] = []
  await store.listen((notice) => heard.push(notice))
  return heard
}

/** Everything that is on its way in this process has happened after this. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: EngineError) => error,
  )

describe('A batch', () => {
  test('is all calls of one tick, in order, under one time', async () => {
    const clock = new SettableClock()
    const store = await openEmbeddedStore({ clock })
    let reads = 0
    clock.nowUs = () => (startMs + ++reads) * 1000
    const args = submission()
    const [submitted, claimed, described] = await Promise.all([
      store.call(0, 'execution.submit', args),
      store.call(0, 'lease.claim', claimOf()),
      store.call(0, 'execution.describe', { id: args.id }),
    ])
    expect(submitted).toEqual({ outcome: 'submitted', id: args.id, state: 'runnable.ready' })
    expect(claimed.outcome).toBe('claimed')
    expect(described).toMatchObject({
      outcome: 'found',
      fields: { created_at: String(startMs + 1), started_at: String(startMs + 1) },
    })
    expect(reads).toBe(1)
  })

  test('holds at most 128 calls', async () => {
    const clock = new SettableClock()
    const store = await openEmbeddedStore({ clock })
    let reads = 0
    clock.nowUs = () => (startMs + ++reads) * 1000
    const lists = Array.from({ length: 300 }, () => store.call(0, 'lane.list', {}))
    await Promise.all(lists)
    expect(reads).toBe(3)
  })

  test('promotes once, however many claims are in it', async () => {
    const clock = new SettableClock()
    const store = await openEmbeddedStore({ clock })
    for (let at = 0; at < 70; at++) {
      await store.call(0, 'execution.submit', submission({ delay_ms: 1 }))
    }
    clock.nowMs += 5
    // One promotion makes 64 of the 70 ready.
    const rows = await Promise.all([claim(store, { count: 100 }), claim(store, { count: 100 })])
    expect(rows.map(({ length }) => length)).toEqual([64, 0])
    expect(await claim(store, { count: 100 })).toHaveLength(6)
  })

  test('goes on when one of its calls breaks, and that call writes nothing', async () => {
    const store = await openEmbeddedStore()
    const before = store.dump()
    const broken = submission({ key: digest('key') })
    const [error, listed] = await Promise.all([
      errorOf(store.call(0, 'execution.submit', broken)),
      store.call(0, 'partition.list', { after: undefined, count: 10 }),
    ])
    expect(error?.code).toBe('invariant_broken')
    expect(listed).toEqual({ outcome: 'listed', ids: [], more: false })
    expect(store.dump()).toEqual(before)
  })

  test('takes bytes as they were and hands out copies', async () => {
    const store = await openEmbeddedStore()
    const input = Buffer.from('abc')
    await store.call(
      0,
      'execution.submit',
      submission({ input, retry: '5 fixed 1 1 1000 0 transient' }),
    )
    input.fill(0)
    const [row] = await claim(store, { lease_ms: 100 })
    expect(Buffer.from(row?.input ?? []).toString()).toBe('abc')
    row?.input?.fill(0)
    await store.call(0, 'lease.revoke', { id: row?.id ?? '', lease_id: undefined })
    const [again] = await claim(store)
    expect(Buffer.from(again?.input ?? []).toString()).toBe('abc')
  })
})

describe('A call', () => {
  test('with a wrong argument or partition is rejected before anything happens', async () => {
    const store = await openEmbeddedStore()
    const bad = errorOf(store.call(0, 'execution.describe', { id: 'no' }))
    expect((await bad)?.code).toBe('invalid_input')
    expect((await errorOf(store.call(1, 'lane.list', {})))?.details).toEqual({
      argument: 'partition',
      partitions: 1,
    })
  })

  test('after closing is rejected, one before it is answered', async () => {
    const store = await openEmbeddedStore()
    const early = store.call(0, 'lane.list', {})
    const closed = store.close()
    const late = errorOf(store.call(0, 'lane.list', {}))
    expect((await early).outcome).toBe('listed')
    expect((await late)?.code).toBe('engine_closed')
    await closed
  })
})

describe('Notices', () => {
  test('tell a sleeping lane of work, after the answers of the batch', async () => {
    const store = await openEmbeddedStore({ clock: new SettableClock() })
    const heard = await listenTo(store)
    const order: string[] = []
    await store.listen(({ notice }) => order.push(notice))
    expect(await claim(store, { sleep_ms: 1000 })).toEqual([])
    await store.call(0, 'execution.submit', submission()).then(() => order.push('answer'))
    await settled()
    expect(heard).toEqual([{ notice: 'lane', partition: 0, lane: 'mail', inMs: 0 }])
    expect(order).toEqual(['answer', 'lane'])
  })

  test('tell how far away delayed work is, and keep the sleeper', async () => {
    const store = await openEmbeddedStore({ clock: new SettableClock() })
    const heard = await listenTo(store)
    await claim(store, { sleep_ms: 1000 })
    await store.call(0, 'execution.submit', submission({ delay_ms: 400 }))
    await store.call(0, 'execution.submit', submission({ delay_ms: 5000 }))
    await store.call(0, 'execution.submit', submission())
    await store.call(0, 'execution.submit', submission())
    await settled()
    expect(heard.map((notice) => 'inMs' in notice && notice.inMs)).toEqual([400, 0])
  })

  test('name the lanes of one batch once, in byte order, before endings', async () => {
    const store = await openEmbeddedStore({ clock: new SettableClock() })
    const watched = submission({ lane: 'z' })
    await store.call(0, 'execution.submit', watched)
    await store.call(0, 'execution.watch', { id: watched.id })
    const heard = await listenTo(store)
    await claim(store, { lanes: 'b,a,é', sleep_ms: 1000 })
    await Promise.all([
      store.call(0, 'execution.cancel_by_operator', { id: watched.id, why: 'over' }),
      ...['é', 'b', 'a', 'b'].map((lane) =>
        store.call(0, 'execution.submit', submission({ lane })),
      ),
    ])
    await settled()
    expect(heard.map((notice) => ('lane' in notice ? notice.lane : notice.notice))).toEqual([
      'a',
      'b',
      'é',
      'ended',
    ])
    expect(heard.at(-1)).toEqual({ notice: 'ended', partition: 0, local: watched.id })
  })

  test('end with listening', async () => {
    const store = await openEmbeddedStore()
    const heard: StoreNotice[] = []
    const stop = await store.listen((notice) => heard.push(notice))
    await claim(store, { sleep_ms: 1000 })
    stop()
    await store.call(0, 'execution.submit', submission())
    await settled()
    expect(heard).toEqual([])
  })
})

describe('The dump', () => {
  test('has the form that Valkey stores', async () => {
    const store = await openEmbeddedStore({ clock: new SettableClock() })
    const { id } = submission()
    const args = submission({ id, key: digest('k'), fingerprint: digest('f'), capabilities: 'gpu' })
    await store.call(0, 'execution.submit', { ...args, priority: 2, deadline_ms: 50, tags: '{}' })
    expect([...store.dump()]).toEqual([
      ['config', { type: 'hash', value: [['partitions', '1']] }],
      ['executions', { type: 'zset', value: [[id, '0']] }],
      [`in:${id}`, { type: 'string', value: '7b7d' }],
      [
        `key:${digest('k')}`,
        { type: 'string', value: Buffer.from(`${id} ${digest('f')}`).toString('hex') },
      ],
      ['lanes', { type: 'hash', value: [['mail', 'active']] }],
      ['ready:mail|gpu', { type: 'zset', value: [[id, '0']] }],
      ['routes:mail', { type: 'set', value: ['gpu'] }],
      [`tags:${id}`, { type: 'string', value: '7b7d' }],
      ['timers', { type: 'zset', value: [[id, String(startMs + 50)]] }],
      [
        `x:${id}`,
        {
          type: 'hash',
          value: [
            ['capabilities', 'gpu'],
            ['created_at', String(startMs)],
            ['deadline_at', String(startMs + 50)],
            ['key', digest('k')],
            ['lane', 'mail'],
            ['priority', '2'],
            ['state', 'runnable.ready'],
            ['task', 'send'],
            ['updated_at', String(startMs)],
          ],
        },
      ],
    ])
  })

  test('has no empty containers and nothing of a purged execution', async () => {
    const store = await openEmbeddedStore()
    const args = submission({ key: digest('k'), fingerprint: digest('f'), tags: '{}' })
    await store.call(0, 'execution.submit', args)
    const [row] = await claim(store)
    await store.call(0, 'execution.progress', { ...fenceOf(row!), percent: 0, note: 'half' })
    await complete(store, row!)
    await store.call(0, 'execution.purge', { id: args.id })
    expect([...store.dump().keys()]).toEqual(['config', 'lanes'])
  })
})

/** Leaves executions in as many situations as there are. */
async function fill(store: EmbeddedStore, clock: SettableClock): Promise<void> {
  const submit = (changes: Partial<Submission> = {}) =>
    store.call(0, 'execution.submit', submission(changes))
  await submit({ retry: '3 fixed 5000 5000 1000 0 transient', attempt_timeout_ms: 5000 })
  await submit({ lane: 'slow', capabilities: 'gpu', key: digest('k'), fingerprint: digest('f') })
  await submit({ lane: 'gone', capabilities: 'once' })
  await submit({ deadline_ms: 90_000 })
  const rows = await claim(store, { lanes: 'mail,gone', capabilities: 'once' })
  await complete(store, rows[1]!)
  await store.call(0, 'execution.purge', { id: rows[1]!.id })
  const failure = { class: 'transient', failure: Buffer.from('{}'), random_ppm: 0 }
  await store.call(0, 'execution.fail', { ...fenceOf(rows[0]!), digest: digest('1'), ...failure })
  await store.call(0, 'execution.progress', { ...fenceOf(rows[2]!), percent: 0, note: 'ü' })
  const held = submission({ delay_ms: 10_000, tags: '{"a":1}', priority: 0 })
  await store.call(0, 'execution.submit', held)
  await store.call(0, 'execution.block', { id: held.id, why: 'audit' })
  for (let at = 0; at < 4; at++) await submit({ lane: `lane-${at}`, capabilities: '' })
  const more = await claim(store, { lanes: 'lane-0,lane-1,lane-2', lease_ms: 100 })
  const parking = { ...fenceOf(more[0]!), digest: digest('2'), until_ms: clock.nowMs + 9000 }
  await store.call(0, 'execution.delay', parking)
  await store.call(0, 'execution.cancel', { ...fenceOf(more[1]!), digest: digest('3'), why: 'no' })
  await store.call(0, 'lane.set_state', { lane: 'slow', state: 'paused' })
  await store.call(0, 'execution.watch', { id: more[0]!.id })
  clock.nowMs += 1000
  await store.call(0, 'partition.sweep', { count: 100 })
}

/** Sleepers are gone after a restart: nobody sleeps in a process that just started. */
function lasting(store: EmbeddedStore) {
  const dump = store.dump()
  dump.delete('sleepers')
  return dump
}

describe('With a directory', () => {
  test('a store that is opened again holds what it held', async () => {
    const clock = new SettableClock()
    const directory = new HeldDirectory()
    const store = await openEmbeddedStore({ clock, directory })
    expect([store.durability, store.kind]).toEqual(['directory', 'embedded'])
    await fill(store, clock)
    const states = [...store.dump()].flatMap(([key, { value }]) =>
      key.startsWith('x:') ? new Map(value as [string, string][]).get('state') : [],
    )
    expect(new Set(states).size).toBe(7)
    await store.close()
    const again = await openEmbeddedStore({ clock, directory })
    expect(lasting(again)).toEqual(lasting(store))
  })

  test('the same on disk', async () => {
    const path = mkdtempSync(join(tmpdir(), 'holdfast-'))
    onTestFinished(() => rmSync(path, { recursive: true }))
    const clock = new SettableClock()
    const store = await openEmbeddedStore({ clock, directory: await openDirectory(path) })
    await fill(store, clock)
    await store.close()
    const again = await openEmbeddedStore({ clock, directory: await openDirectory(path) })
    expect(lasting(again)).toEqual(lasting(store))
    await again.close()
  })

  test('a batch is one commit of what it changed', async () => {
    const directory = new HeldDirectory()
    const store = await openEmbeddedStore({ directory })
    directory.commits.length = 0
    const [a, b] = [submission(), submission({ tags: '{}' })]
    await Promise.all([a, b].map((args) => store.call(0, 'execution.submit', args)))
    expect(directory.commits.map((changes) => [...changes.keys()].sort())).toEqual([
      [`in:${a.id}`, `in:${b.id}`, 'lanes', `tags:${b.id}`, `x:${a.id}`, `x:${b.id}`],
    ])
    await store.call(0, 'execution.cancel_by_operator', { id: a.id, why: 'over' })
    await store.call(0, 'execution.purge', { id: a.id })
    expect([...(directory.commits.at(-1) ?? [])]).toEqual([
      [`x:${a.id}`, undefined],
      [`in:${a.id}`, undefined],
      [`out:${a.id}`, undefined],
    ])
    await store.call(0, 'lane.list', {})
    expect(directory.commits).toHaveLength(3)
  })

  test('answers and notices wait for the commit, reads for those before them', async () => {
    const directory = new HeldDirectory()
    const store = await openEmbeddedStore({ directory })
    const heard = await listenTo(store)
    await claim(store, { sleep_ms: 1000 })
    directory.held = true
    const events: string[] = []
    const log = (event: string) => () => events.push(event)
    const args = submission()
    const first = store.call(0, 'execution.submit', args).then(log('first'))
    await settled()
    const second = store.call(0, 'execution.submit', submission()).then(log('second'))
    await settled()
    const read = store.call(0, 'execution.describe', { id: args.id }).then(log('read'))
    await settled()
    expect(directory.commits).toHaveLength(3)
    expect([events, heard]).toEqual([[], []])
    directory.release()
    await first
    await settled()
    expect(events).toEqual(['first'])
    expect(heard).toHaveLength(1)
    directory.release()
    await Promise.all([second, read])
    expect(events).toEqual(['first', 'second', 'read'])
  })

  test('a failed commit rejects its calls and everything after it', async () => {
    const clock = new SettableClock()
    const directory = new HeldDirectory()
    const store = await openEmbeddedStore({ clock, directory })
    const heard = await listenTo(store)
    await claim(store, { sleep_ms: 1000 })
    const kept = submission()
    await store.call(0, 'execution.submit', { ...kept, lane: 'other' })
    directory.held = true
    const cause = new Error('disk full')
    const lost = errorOf(store.call(0, 'execution.submit', submission()))
    await settled()
    const read = errorOf(store.call(0, 'lane.list', {}))
    await settled()
    directory.break(cause)
    expect((await lost)?.code).toBe('directory_closed')
    expect((await lost)?.cause).toBe(cause)
    expect(await read).toBe(await lost)
    expect(await errorOf(store.call(0, 'lane.list', {}))).toBe(await lost)
    expect(heard).toEqual([])
    directory.held = false
    await store.close()
    const again = await openEmbeddedStore({ clock, directory })
    const listed = await again.call(0, 'partition.list', { after: undefined, count: 10 })
    expect(listed).toMatchObject({ ids: [kept.id] })
  })

  test('closing waits for commits under way', async () => {
    const directory = new HeldDirectory()
    const store = await openEmbeddedStore({ directory })
    directory.held = true
    const call = store.call(0, 'execution.submit', submission())
    const events: string[] = []
    directory.close = async () => void events.push('directory')
    const closed = store.close().then(() => events.push('store'))
    await settled()
    expect(events).toEqual([])
    directory.release()
    expect((await call).outcome).toBe('submitted')
    await closed
    expect(events).toEqual(['directory', 'store'])
  })
})

describe('Opening', () => {
  const fields = {
    created_at: 1,
    lane: 'mail',
    state: 'runnable.ready',
    task: 'send',
    updated_at: 1,
  }
  const id = '0'.repeat(26)
  const good: Record<string, unknown> = { [`x:${id}`]: fields, [`in:${id}`]: 'bytes' }

  const cases: [what: string, key: string, records: Record<string, unknown>][] = [
    ['an unknown state', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, state: 'lost' } }],
    ['no state', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, state: undefined } }],
    ['a state of nothing', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, state: 'absent' } }],
    ['no lane', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, lane: undefined } }],
    ['half a lease', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, state: 'leased.held' } }],
    ['a text for a number', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, created_at: '1' } }],
    ['a field too many', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, __proto__x: 1 } }],
    ['a bad policy', `x:${id}`, { ...good, [`x:${id}`]: { ...fields, retry: 'often' } }],
    ['cut JSON', `x:${id}`, { ...good, [`x:${id}`]: '{"lane":' }],
    ['no input', `in:${id}`, { [`x:${id}`]: fields }],
    ['an input of nobody', `in:${id}`, { [`in:${id}`]: 'bytes' }],
    ['a key of nobody', 'key:k', { 'key:k': `${id} f` }],
    ['a key that is gone', 'key:k', { ...good, [`x:${id}`]: { ...fields, key: 'k' } }],
    ['a strange record', 'queue:1', { 'queue:1': '' }],
    ['lanes in another form', 'lanes', { lanes: ['mail'] }],
  ]

  test.each(cases)('refuses %s and names the record', async (_what, key, records) => {
    const directory = new HeldDirectory()
    for (const [name, value] of Object.entries(records)) {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      directory.records.set(name, Buffer.from(text))
    }
    const error = await errorOf(openEmbeddedStore({ directory }))
    expect([error?.code, error?.details.key]).toEqual(['corruption', key])
  })

  test('refuses records of several partitions', async () => {
    const directory = new HeldDirectory()
    directory.records.set('config', Buffer.from('[["partitions","8"]]'))
    const error = await errorOf(openEmbeddedStore({ directory }))
    expect([error?.code, error?.details]).toEqual([
      'partition_mismatch',
      { stored: '8', given: '1' },
    ])
  })
})
