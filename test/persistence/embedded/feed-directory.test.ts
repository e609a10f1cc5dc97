// The feed in a directory: what is reopened is what was told, to the byte, and nothing piles up.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { counts } from '../../../src/limits.ts'
import type { EngineBackend } from '../../../src/persistence/backend.ts'
import { openDirectory } from '../../../src/persistence/embedded/directory.ts'
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../../src/persistence/embedded/embedded-store.ts'
import { rebuildKeyspace } from '../../../src/persistence/embedded/rebuild.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { submit } from '../../support/executions.ts'
import { beginning, eventsAfter } from '../../support/feed.ts'
import { type SettableClock, settableProcessClock } from '../../support/settable-clock.ts'

const day = 86_400_000

interface Opened {
  readonly store: EmbeddedStore
  readonly backend: EngineBackend
}

/** A folder of its own, to be opened again and again under one clock. */
function folder() {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  const clock = settableProcessClock()
  return {
    clock: clock as SettableClock,
    async open(): Promise<Opened> {
      const store = await openEmbeddedStore({ clock, directory: await openDirectory(path) })
      return { store, backend: createBackend(store) }
    },
    /** The keys of all records, while nobody has the folder open. */
    async keys(): Promise<string[]> {
      const directory = await openDirectory(path)
      const keys = [...directory.load()].map(([key]) => key)
      await directory.close()
      return keys
    },
  }
}

async function makeEvents(backend: EngineBackend, rounds: number): Promise<void> {
  const id = await submit(backend)
  const reason = 'r'.repeat(64)
  for (let round = 0; round < rounds; round++) {
    await Promise.all([
      backend.blockExecution(id, reason),
      backend.unblockExecution(id, reason),
      backend.changePriority(id, 1 + (round % 2)),
    ])
  }
}

test('A feed that is opened again is the same, and goes on', async () => {
  const { open, keys } = folder()
  const first = await open()
  await makeEvents(first.backend, 100)
  const { cursor } = await first.backend.readEvents(0, undefined, 1)
  await first.backend.followEvents(0, cursor, 1)
  await submit(first.backend)
  const [dumped, told] = [first.store.dump(), await eventsAfter(first.backend)]
  await first.backend.close()
  expect((await keys()).filter((key) => key.startsWith('segment:'))).not.toEqual([])

  const second = await open()
  expect(second.store.dump()).toEqual(dumped)
  expect(await eventsAfter(second.backend)).toEqual(told)
  expect(await eventsAfter(second.backend, cursor)).toEqual(told.slice(-1))
  await makeEvents(second.backend, 100)
  expect((await eventsAfter(second.backend)).slice(0, told.length)).toEqual(told)
  await second.backend.close()
})

test('Nobody follows in a process that just started, and no place has moved', async () => {
  const { open } = folder()
  const first = await open()
  await submit(first.backend)
  const { cursor } = await first.backend.readEvents(0, undefined, 1)
  await first.backend.followEvents(0, cursor, 1)
  await first.backend.close()

  const second = await open()
  const heard: unknown[] = []
  await second.backend.onEvents((partition) => heard.push(partition))
  const id = await submit(second.backend)
  expect(await second.backend.readEvents(0, cursor, 5)).toMatchObject({
    missed: false,
    events: [{ executionId: id }],
  })
  expect(heard).toEqual([])
  await second.backend.close()
})

test('What was dropped is no record any more, and its cursors are known to be old', async () => {
  const { clock, open, keys } = folder()
  const first = await open()
  await makeEvents(first.backend, 100)
  const { cursor } = await first.backend.readEvents(0, beginning, 1)
  await clock.advance(2 * day)
  await first.backend.sweep(0)
  await first.backend.close()
  expect((await keys()).filter((key) => /^(line|segment):/.test(key))).toEqual([])

  const second = await open()
  const id = await submit(second.backend)
  expect(await second.backend.readEvents(0, cursor, 5)).toMatchObject({
    missed: true,
    events: [{ executionId: id }],
  })
  await second.backend.close()
})

test('A line is written again when its segment is sealed, and is then no record', async () => {
  const { open, keys } = folder()
  const { backend } = await open()
  await makeEvents(backend, 70)
  await backend.close()
  const lines = (await keys()).filter((key) => key.startsWith('line:'))
  const sealed = (await keys()).filter((key) => key.startsWith('segment:'))
  expect(sealed).toEqual(['segment:0'])
  const first = Number(lines.sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))[0]?.slice(5))
  expect(first).toBeGreaterThanOrEqual(counts.feedSegmentBytes)
})

test.each<[string, Record<string, string>]>([
  ['a line that does not follow the one before', { 'line:0': '\n1 a b', 'line:9': '\n1 a b' }],
  ['a segment that does not follow the one before', { 'segment:2': '\n1', 'segment:9': '\n1 a' }],
  ['a line before the end', { feed: '4', 'line:0': '\n1 a' }],
  ['an end that begins after a hole', { feed: '9', 'segment:0': '\n1 a' }],
  ['a place that is none', { 'line:x': '\n1 a' }],
])('%s is refused as corruption', (_what, records) => {
  const entries = Object.entries(records).map(([key, text]) => [key, Buffer.from(text)] as const)
  expect(() => rebuildKeyspace(entries)).toThrow(expect.objectContaining({ code: 'corruption' }))
})
