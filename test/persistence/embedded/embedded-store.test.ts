// What only the embedded store does: batches, notices, durable answers, rebuilding, its dump.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { EngineError } from '../../../src/errors.ts'
import { digest } from '../../../src/ids.ts'
import type { Answer, Arguments } from '../../../src/persistence/contract.ts'
import { openDirectory, type RecordDirectory } from '../../../src/persistence/embedded/directory.ts'
import { openEmbeddedStore } from '../../../src/persistence/embedded/embedded-store.ts'
import { type ClaimedRow, operationPlans } from '../../../src/persistence/generated/operations.ts'
import type { StoreNotice } from '../../../src/persistence/store.ts'
import type { Clock } from '../../../src/time.ts'

const startMs = 2_000_000_000_000

class SettableClock implements Clock {
  nowMs = startMs
  reads = 0
  nowUs() {
    this.reads++
    return this.nowMs * 1000
  }
}

/** Records in memory whose commits happen when the test says so. */
class HeldDirectory implements RecordDirectory {
  readonly records = new Map<string, Uint8Array>()
  readonly commits: ReadonlyMap<string, Uint8Array | undefined>[] = []
  held = false
  private readonly waiting: { done(): void; fail(error: Error): void }[] = []

  load = () => [...this.records].sort(([a], [b]) => (a < b ? -1 : 1))
  async commit(changes: ReadonlyMap<string, Uint8Array | undefined>) {
    this.commits.push(changes)
    const wait = (done: () => void, fail: (error: Error) => void) =>
      void this.waiting.push({ done, fail })
    if (this.held) await new Promise<void>(wait)
    for (const [key, value] of changes) {
      if (value === undefined) this.records.delete(key)
      else this.records.set(key, Buffer.from(value))
    }
  }
  async close() {}
  /** Lets the oldest commit under way succeed. */
  release = () => this.waiting.shift()?.done()
  break = (error: Error) => this.waiting.shift()?.fail(error)
}

type Submission = Arguments<'execution.submit'>
type Claim = Arguments<'lease.claim'>
const absent = Object.fromEntries(
  operationPlans['execution.submit'].args.map(({ name }) => [name, undefined]),
)
let made = 0

function submission(changes: Partial<Submission> = {}): Submission {
  const [id, input] = [String(++made).padStart(26, '0'), Buffer.from('{}')]
  return { ...absent, id, lane: 'mail', task: 'send', input, ...changes } as Submission
}

/** A store with a settable clock, what its listener heard, and shorter calls. */
async function open(directory?: RecordDirectory) {
  const clock = new SettableClock()
  const store = await openEmbeddedStore({ clock, directory })
  const heard: StoreNotice[] = []
  const stop = await store.listen((notice) => heard.push(notice))
  clock.reads = 0
  return {
    ...{ clock, store, heard, stop },
    submit: (changes?: Partial<Submission>) =>
      store.call(0, 'execution.submit', submission(changes)),
    async claim(changes: Partial<Claim> = {}) {
      const lease = { worker: 'w', lease_id: `claim-${++made}`, lease_ms: 30_000 }
      const from = { lanes: 'mail', capabilities: '', kinds: 'frc', count: 100 }
      const args = { ...from, ...lease, sleep_ms: undefined, ...changes }
      const answer = await store.call(0, 'lease.claim', args)
      return answer.outcome === 'claimed' ? answer.rows : []
    },
    list: () => store.call(0, 'partition.list', { after: undefined, count: 10 }),
  }
}

const idOf = (answer: Answer<'execution.submit'>) => ('id' in answer ? answer.id : '')

type Opened = Awaited<ReturnType<typeof open>>

const fenceOf = ({ id, attempt, lease_id, epoch }: ClaimedRow) => ({ id, attempt, lease_id, epoch })

const ends = (row: ClaimedRow, name: string) => ({ ...fenceOf(row), digest: digest(name) })

/** Everything that is on its way in this process has happened after this. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

const errorOf = (call: Promise<unknown>): Promise<EngineError | undefined> =>
  call.then(() => undefined).catch((error) => error)

describe('A batch', () => {
  test('is all calls of one tick, in order, under one time', async () => {
    const { store, submit, claim, list, clock } = await open()
    const [submitted, rows, listed] = await Promise.all([submit(), claim(), list()])
    const id = rows[0]?.id
    expect(submitted).toEqual({ outcome: 'submitted', id, state: 'runnable.ready' })
    expect(listed).toEqual({ outcome: 'listed', ids: [id], more: false })
    expect(clock.reads).toBe(1)
    await Promise.all(Array.from({ length: 300 }, () => store.call(0, 'lane.list', {})))
    // At most 128 calls are one batch.
    expect(clock.reads).toBe(4)
  })

  test('promotes once, however many claims are in it', async () => {
    const { clock, submit, claim } = await open()
    for (let at = 0; at < 70; at++) await submit({ delay_ms: 1 })
    clock.nowMs += 5
    // One promotion makes 64 of the 70 ready.
    const rows = await Promise.all([claim(), claim()])
    expect(rows.map(({ length }) => length)).toEqual([64, 0])
    expect(await claim()).toHaveLength(6)
  })

  test('goes on when one of its calls is refused, and that call writes nothing', async () => {
    const { store, submit, list } = await open()
    const before = store.dump()
    const refused = submit({ input: undefined })
    expect(await list()).toEqual({ outcome: 'listed', ids: [], more: false })
    expect(await refused).toMatchObject({ outcome: 'refused', code: 'invalid_input' })
    expect(store.dump()).toEqual(before)
  })

  test('takes bytes as they were and hands out copies', async () => {
    const { store, submit, claim } = await open()
    const input = Buffer.from('abc')
    await submit({ input })
    input.fill(0)
    const [row] = await claim()
    expect(row!.input).toEqual(Buffer.from('abc'))
    row!.input!.fill(0)
    await store.call(0, 'lease.revoke', { id: row!.id, lease_id: undefined })
    expect((await claim())[0]!.input).toEqual(Buffer.from('abc'))
  })
})

test('A call with a wrong argument or partition, or after closing, is rejected', async () => {
  const { store, list } = await open()
  const bad = await errorOf(store.call(0, 'execution.describe', { id: 'no' }))
  expect(bad?.code).toBe('invalid_input')
  const away = await errorOf(store.call(1, 'lane.list', {}))
  expect(away?.details).toEqual({ argument: 'partition', partitions: 1 })
  const early = list()
  const closed = store.close()
  const late = errorOf(list())
  expect((await early).outcome).toBe('listed')
  expect((await late)?.code).toBe('engine_closed')
  await closed
})

describe('Notices', () => {
  test('tell sleeping lanes of work, after the answers of the batch', async () => {
    const { store, heard, submit, claim, stop } = await open()
    const order: string[] = []
    await store.listen(({ notice }) => order.push(notice))
    expect(await claim({ sleep_ms: 1000 })).toEqual([])
    await submit({ delay_ms: 400 }).then(() => order.push('answer'))
    await settled()
    expect(order).toEqual(['answer', 'lane'])
    // Work that comes later than the sleep ends is nobody's news; work for now ends the sleep.
    for (const delay_ms of [5000, 0, 0]) await submit({ delay_ms })
    await settled()
    const lane = { notice: 'lane', partition: 0, lane: 'mail' }
    expect(heard).toEqual([400, 0].map((inMs) => ({ ...lane, inMs })))
    stop()
    await claim({ lanes: 'other', sleep_ms: 1000 })
    await submit({ lane: 'other' })
    await settled()
    expect([heard.length, order.length]).toEqual([2, 4])
  })

  test('name the lanes of one batch once, in byte order, before endings', async () => {
    const { store, heard, submit, claim } = await open()
    await submit()
    const { id, epoch } = (await claim())[0]!
    await store.call(0, 'execution.watch', { id })
    await claim({ lanes: 'b,a,é', sleep_ms: 1000 })
    await Promise.all([
      store.call(0, 'execution.cancel_by_operator', { id, why: 'over' }),
      ...['é', 'b', 'a', 'b'].map((lane) => submit({ lane })),
    ])
    await settled()
    const woken = (lane: string) => ({ notice: 'lane', partition: 0, inMs: 0, lane })
    const ended = { notice: 'ended', partition: 0, local: id }
    const lost = { notice: 'lost', partition: 0, local: id, epoch, event: 'cancelExecution' }
    expect(heard).toEqual([...['a', 'b', 'é'].map(woken), ended, lost])
  })
})

describe('The dump', () => {
  test('has the form that Valkey stores', async () => {
    const { store, submit } = await open()
    const [key, fingerprint] = [digest('k'), digest('f')]
    const options = { priority: 2, deadline_ms: 50, tags: '{}', capabilities: 'gpu' }
    const id = idOf(await submit({ key, fingerprint, ...options }))
    const hex = (text: string) => Buffer.from(text).toString('hex')
    const [now, then] = [String(startMs), String(startMs + 50)]
    const times = { created_at: now, updated_at: now, deadline_at: then }
    const names = { key, lane: 'mail', task: 'send', capabilities: 'gpu' }
    const fields = { ...times, ...names, priority: '2', state: 'runnable.ready' }
    const [value, told] = [Object.entries(fields).sort(), 'submit runnable.ready   |submitter']
    expect([...store.dump()]).toEqual([
      ['config', { type: 'hash', value: [['partitions', '1']] }],
      ['executions', { type: 'zset', value: [[id, '0']] }],
      ['feed', { type: 'string', value: hex(`\n${now} ${id} ${told} \n`) }],
      [`in:${id}`, { type: 'string', value: hex('{}') }],
      [`key:${key}`, { type: 'string', value: hex(`${id} ${fingerprint}`) }],
      ['lanes', { type: 'hash', value: [['mail', 'active']] }],
      // Two steps of priority weigh as much as all the time since 1970 until this test.
      ['ready:mail|gpu', { type: 'zset', value: [[id, '0']] }],
      ['routes:mail', { type: 'set', value: ['gpu'] }],
      [`tags:${id}`, { type: 'string', value: hex('{}') }],
      ['timers', { type: 'zset', value: [[id, then]] }],
      [`x:${id}`, { type: 'hash', value }],
    ])
  })

  test('has no empty containers and of a purged execution only what the feed tells', async () => {
    const { store, submit, claim } = await open()
    await submit({ key: digest('k'), fingerprint: digest('f'), tags: '{}' })
    const row = (await claim())[0]!
    await store.call(0, 'execution.progress', { ...fenceOf(row), percent: 0, note: 'half' })
    await store.call(0, 'execution.complete', { ...ends(row, '0'), result: Buffer.from('1') })
    await store.call(0, 'execution.purge', { id: row.id })
    expect([...store.dump().keys()]).toEqual(['config', 'feed', 'lanes'])
  })
})

/** Leaves executions in as many situations as there are. */
async function fill({ store, clock, submit, claim }: Opened): Promise<void> {
  await submit({ retry: '3 fixed 5000 5000 1000 0 t', attempt_timeout_ms: 5000 })
  await submit({ lane: 'slow', capabilities: 'gpu', key: digest('k'), fingerprint: digest('f') })
  await submit({ lane: 'gone', capabilities: 'once' })
  await submit({ deadline_ms: 90_000, input: Buffer.alloc(2000) })
  const rows = await claim({ lanes: 'mail,gone', capabilities: 'once' })
  await store.call(0, 'execution.complete', { ...ends(rows[1]!, '0'), result: undefined })
  await store.call(0, 'execution.purge', { id: rows[1]!.id })
  const failure = { class: 'transient', failure: Buffer.from('{}'), random_ppm: 0 } as const
  await store.call(0, 'execution.fail', { ...ends(rows[0]!, '1'), ...failure })
  await store.call(0, 'execution.progress', { ...fenceOf(rows[2]!), percent: 0, note: 'ü' })
  const held = await submit({ delay_ms: 10_000, tags: '{"a":1}', priority: 0 })
  await store.call(0, 'execution.block', { id: idOf(held), why: 'audit' })
  for (let at = 0; at < 4; at++) await submit({ lane: `lane-${at}`, capabilities: '' })
  const more = await claim({ lanes: 'lane-0,lane-1,lane-2', lease_ms: 100 })
  const until_ms = clock.nowMs + 9000
  await store.call(0, 'execution.delay', { ...ends(more[0]!, '2'), until_ms })
  await store.call(0, 'execution.cancel', { ...ends(more[1]!, '3'), why: 'no' })
  await store.call(0, 'lane.set_state', { lane: 'slow', state: 'paused' })
  await store.call(0, 'execution.watch', { id: more[0]!.id })
  await claim({ lanes: 'empty', sleep_ms: 5000 })
  clock.nowMs += 1000
  await store.call(0, 'partition.sweep', { count: 100 })
}

/** Sleepers are gone after a restart: nobody sleeps in a process that just started. */
function lasting({ store }: Opened) {
  return new Map([...store.dump()].filter(([key]) => key !== 'sleepers'))
}

describe('With a directory', () => {
  test('a store that is opened again holds what it held', async () => {
    const path = mkdtempSync(join(tmpdir(), 'holdfast-'))
    onTestFinished(() => rmSync(path, { recursive: true }))
    const first = await open(await openDirectory(path))
    expect([first.store.durability, first.store.kind]).toEqual(['directory', 'embedded'])
    await fill(first)
    const states = [...first.store.dump()].flatMap(([key, { value }]) =>
      key.startsWith('x:') ? new Map(value as [string, string][]).get('state') : [],
    )
    expect(new Set(states).size).toBe(7)
    await first.store.close()
    const second = await open(await openDirectory(path))
    expect(lasting(second)).toEqual(lasting(first))
    await second.store.close()
  })

  test('a batch is one commit of what it changed', async () => {
    const directory = new HeldDirectory()
    const { store, submit, list } = await open(directory)
    directory.commits.length = 0
    const [a, b] = (await Promise.all([submit(), submit({ tags: '{}' })])).map(idOf)
    const changed = directory.commits.map((changes) => [...changes.keys()].sort())
    const others = ['lanes', 'line:0', `tags:${b}`]
    expect(changed).toEqual([[`in:${a}`, `in:${b}`, ...others, `x:${a}`, `x:${b}`]])
    await store.call(0, 'execution.cancel_by_operator', { id: a!, why: 'over' })
    await store.call(0, 'execution.purge', { id: a! })
    const gone = ['x:', 'in:', 'out:'].map((prefix) => [prefix + a, undefined])
    expect([...directory.commits.at(-1)!].slice(0, 3)).toEqual(gone)
    await list()
    expect(directory.commits).toHaveLength(3)
  })

  test('answers and notices wait for the commit, reads for those before them', async () => {
    const directory = new HeldDirectory()
    const { heard, submit, claim, list } = await open(directory)
    await claim({ sleep_ms: 1000 })
    directory.held = true
    const events: string[] = []
    const calls: Promise<unknown>[] = []
    for (const [name, call] of Object.entries({ first: submit, second: submit, read: list })) {
      calls.push(call().then(() => events.push(name)))
      await settled()
    }
    expect(directory.commits).toHaveLength(3)
    expect([events, heard]).toEqual([[], []])
    directory.release()
    await settled()
    expect([events, heard.length]).toEqual([['first'], 1])
    directory.release()
    await Promise.all(calls)
    expect(events).toEqual(['first', 'second', 'read'])
  })

  test('a failed commit rejects its calls and everything after it', async () => {
    const directory = new HeldDirectory()
    const { store, heard, submit, claim, list } = await open(directory)
    await submit({ lane: 'other' })
    const kept = await list()
    await claim({ sleep_ms: 1000 })
    directory.held = true
    const lost = errorOf(submit())
    await settled()
    const read = errorOf(list())
    await settled()
    const cause = new Error('disk full')
    directory.break(cause)
    expect(await lost).toMatchObject({ code: 'directory_closed', cause })
    expect(await read).toBe(await lost)
    expect(await errorOf(list())).toBe(await lost)
    expect(heard).toEqual([])
    directory.held = false
    await store.close()
    expect(await (await open(directory)).list()).toEqual(kept)
  })

  test('closing waits for commits under way', async () => {
    const directory = new HeldDirectory()
    const { store, submit } = await open(directory)
    directory.held = true
    const call = submit()
    const events: string[] = []
    directory.close = async () => void events.push('directory')
    const closed = store.close().then(() => events.push('store'))
    await settled()
    expect(events).toEqual([])
    directory.release()
    await Promise.all([call, closed])
    expect(events).toEqual(['directory', 'store'])
  })
})

describe('Opening', () => {
  const times = { created_at: 1, updated_at: 1 }
  const fields = { lane: 'mail', state: 'runnable.ready', task: 'send', ...times }
  const id = '0'.repeat(26)
  const good: Record<string, unknown> = { [`x:${id}`]: fields, [`in:${id}`]: 'bytes' }

  const x = (changes: object) => ({ ...good, [`x:${id}`]: { ...fields, ...changes } })
  const cases: [what: string, kind: string, records: Record<string, unknown>][] = [
    ['an unknown state', 'x', x({ state: 'lost' })],
    ['no state', 'x', x({ state: undefined })],
    ['a state of nothing', 'x', x({ state: 'absent' })],
    ['no lane', 'x', x({ lane: undefined })],
    ['half a lease', 'x', x({ state: 'leased.held' })],
    ['a text for a number', 'x', x({ created_at: '1' })],
    ['a field too many', 'x', x({ toString: 1 })],
    ['a bad policy', 'x', x({ retry: 'often' })],
    ['cut JSON', 'x', { ...good, [`x:${id}`]: '{"lane":' }],
    ['no input', 'in', { [`x:${id}`]: fields }],
    ['an input of nobody', 'in', { [`in:${id}`]: 'bytes' }],
    ['a key of nobody', 'key', { [`key:${id}`]: `${id} f` }],
    ['a key that is gone', 'key', x({ key: id })],
    ['a strange record', 'queue', { [`queue:${id}`]: '' }],
  ]

  test.each(cases)('refuses %s and names the record', async (_what, kind, records) => {
    const directory = new HeldDirectory()
    for (const [name, value] of Object.entries(records)) {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      directory.records.set(name, Buffer.from(text))
    }
    const error = await errorOf(open(directory))
    expect([error?.code, error?.details.key]).toEqual(['corruption', `${kind}:${id}`])
  })

  test('refuses records of several partitions', async () => {
    const directory = new HeldDirectory()
    directory.records.set('config', Buffer.from('[["partitions","8"]]'))
    const details = { stored: '8', given: '1' }
    await expect(open(directory)).rejects.toMatchObject({ code: 'partition_mismatch', details })
  })
})
