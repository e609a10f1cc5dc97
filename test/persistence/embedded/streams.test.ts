// Streams in a directory: one record per frame, put together again on opening, refused when broken.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openDirectory, type RecordDirectory } from '../../../src/persistence/embedded/directory.ts'
import { openEmbeddedStore } from '../../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { frame, readAll, submitAndClaim, textsOf } from '../../support/executions.ts'

/** Records in memory, and the keys that each commit changed. */
class RecordsInMemory implements RecordDirectory {
  readonly records = new Map<string, Uint8Array>()
  readonly commits: (readonly string[])[] = []

  load = () => [...this.records].sort(([a], [b]) => (a < b ? -1 : 1))
  async commit(changes: ReadonlyMap<string, Uint8Array | undefined>) {
    this.commits.push([...changes.keys()])
    for (const [key, value] of changes) {
      if (value === undefined) this.records.delete(key)
      else this.records.set(key, Buffer.from(value))
    }
  }
  async close() {}
}

async function open(directory: RecordDirectory) {
  const store = await openEmbeddedStore({ directory })
  return { store, backend: createBackend(store) }
}

test('Durable frames and the document survive, live frames do not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const first = await open(await openDirectory(folder))
  const { executionId, handle } = await submitAndClaim(first.backend)
  const texts = Array.from({ length: 120 }, (_, at) => String(at))
  for (const text of texts) await first.backend.appendFrame(handle, frame(text))
  await first.backend.appendFrame(handle, frame('gone', { mode: 'live' }))
  await first.backend.appendFrame(handle, frame('{"a":1}', { mode: 'summary' }))
  const before = first.store.dump()
  await first.backend.close()

  const second = await open(await openDirectory(folder))
  const local = executionId.split('-')[1]
  before.delete(`live:${local}:0`)
  expect(second.store.dump()).toEqual(before)
  const page = await readAll(second.backend, executionId)
  expect(textsOf(page)).toEqual(texts)
  expect(page).toMatchObject({ frameCount: 122, nextCursor: 122, ended: false })
  expect(await second.backend.readSummary(executionId, 0)).toMatchObject({ document: '{"a":1}' })
  expect(await second.backend.appendFrame(handle, frame('next'))).toMatchObject({ number: 123 })
  await second.backend.complete(handle)
  await second.backend.close()

  const third = await open(await openDirectory(folder))
  expect(await readAll(third.backend, executionId)).toMatchObject({
    ended: true,
    closedReason: 'attempt_success',
    frameCount: 123,
  })
  await third.backend.purgeExecution(executionId)
  await third.backend.close()
  const last = await openDirectory(folder)
  const keys = [...last.load()].map(([key]) => key)
  // The feed goes on telling what happened.
  expect(keys.filter((key) => !key.startsWith('line:'))).toEqual(['config', 'lanes'])
  await last.close()
})

test('An append writes its frame and the state of its stream, and nothing else', async () => {
  const directory = new RecordsInMemory()
  const { backend } = await open(directory)
  const { executionId, handle } = await submitAndClaim(backend)
  const local = executionId.split('-')[1]
  await backend.appendFrame(handle, frame('first'))
  for (const mode of ['durable', 'live'] as const) {
    directory.commits.length = 0
    await backend.appendFrame(handle, frame('next', { mode }))
    const keys = mode === 'live' ? [] : [`frames:${local}:0:2`]
    expect(directory.commits).toEqual([[`streams:${local}:0`, ...keys]])
  }
})

test('Trimming removes the records of the frames that are gone', async () => {
  const directory = new RecordsInMemory()
  const { backend } = await open(directory)
  const { handle } = await submitAndClaim(backend)
  await Promise.all(Array.from({ length: 11_001 }, () => backend.appendFrame(handle, frame('x'))))
  const numbers = [...directory.records.keys()]
    .filter((key) => key.startsWith('frames:'))
    .map((key) => Number(key.split(':')[3]))
  expect(numbers).toHaveLength(10_000)
  expect(Math.min(...numbers)).toBe(1002)
})

test.each([
  ['a state that does not parse', (local: string) => [`streams:${local}:0`, 'nonsense']],
  ['a state that is missing', (local: string) => [`streams:${local}:0`, undefined]],
  ['a frame that does not parse', (local: string) => [`frames:${local}:0:1`, 'x']],
  ['a frame without a stream', (local: string) => [`frames:${local}:7:1`, '1 d b 1 - log -\n']],
  ['a document without a stream', (local: string) => [`summary:${local}:7`, '1 1\n{}']],
  ['a document that does not parse', (local: string) => [`summary:${local}:0`, '{}']],
  ['a stream without an execution', () => [`streams:${'0'.repeat(26)}:0`, '1 1 1 1']],
])('A directory with %s is refused', async (_what, broken) => {
  const directory = new RecordsInMemory()
  const { backend } = await open(directory)
  const { executionId, handle } = await submitAndClaim(backend)
  await backend.appendFrame(handle, frame('a'))
  const [key = '', value] = broken(executionId.split('-')[1] ?? '')
  if (value === undefined) directory.records.delete(key)
  else directory.records.set(key, Buffer.from(value))
  await expect(open(directory)).rejects.toMatchObject({ code: 'corruption' })
})
