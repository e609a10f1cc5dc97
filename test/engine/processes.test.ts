// Engines in processes that are killed: what was acknowledged is there and is finished by others.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { task } from '../../src/index.ts'
import { Child } from '../persistence/embedded/children.ts'
import { freshNamespace, useEngines } from './engines.ts'
import { layered, layeredTotal, submitLayered } from './layered-flow.ts'

vi.setConfig({ testTimeout: 60_000 })

const program = fileURLToPath(new URL('program.ts', import.meta.url))

function start(command: string, ...args: string[]): Child {
  const parameters = ['--import', 'tsx', program, command, ...args]
  return new Child(spawn(process.execPath, parameters, { stdio: ['pipe', 'pipe', 'inherit'] }))
}

interface Note {
  readonly number: number
  readonly attempt: number
  readonly pid: number
}

const note = task({
  name: 'note',
  run: ({ attempt }, number: number): Note => ({ number, attempt, pid: process.pid }),
})
const held = task({ name: 'held', run: () => ({ attempt: -1, line: 'of the test' }) })

describe('processes on a server', () => {
  const engines = useEngines('valkey')
  const { open } = engines

  test('take over the work of one that was killed, and one outcome counts', async () => {
    const namespace = freshNamespace()
    const engine = await open({ namespace })
    const { url } = engines.server
    const first = start('hold', url, namespace)
    await first.printed(1)
    const execution = await engine.submit(held, undefined)
    await first.printed(2)
    expect(first.lines).toEqual(['working', 'begun 0'])
    await first.kill()

    const second = start('hold', url, namespace)
    await second.printed(2)
    expect(second.lines).toEqual(['working', 'begun 1'])
    second.tell('of the second')
    expect(await execution.result()).toEqual({ attempt: 1, line: 'of the second' })
    expect(await execution.describe()).toMatchObject({
      publicState: 'completed',
      totalAttempts: 2,
      reclaims: 1,
      retries: 0,
      endedAttempts: [{ attempt: 0, how: 'expired' }],
    })
    await second.kill()
  })

  test('drop the outcome of one that was stopped for too long', async () => {
    const namespace = freshNamespace()
    const engine = await open({ namespace })
    const { url } = engines.server
    const first = start('hold', url, namespace)
    await first.printed(1)
    const execution = await engine.submit(held, undefined)
    await first.printed(2)
    first.signal('SIGSTOP')
    const second = start('hold', url, namespace)
    await second.printed(2)
    first.tell('of the first')
    first.signal('SIGCONT')
    second.tell('of the second')
    expect(await execution.result()).toMatchObject({ attempt: 1, line: 'of the second' })
    await Promise.all([first.kill(), second.kill()])
  })

  test('finish everything once while they are killed one after the other', async () => {
    const namespace = freshNamespace()
    const engine = await open({ namespace })
    const { url } = engines.server
    const children = Array.from({ length: 3 }, () => start('work', url, namespace))
    await Promise.all(children.map((child) => child.printed(1)))
    const inputs = Array.from({ length: 1000 }, (_, input) => ({ input }))
    const outcomes = await engine.submitMany(note, inputs)
    const results = outcomes.map((one) =>
      one.outcome === 'refused' ? Promise.reject(one.error) : one.execution.result(),
    )
    await Promise.race(results.slice(0, 100))
    await children[0]?.kill()
    await Promise.race(results.slice(500))
    await children[1]?.kill()
    const notes = await Promise.all(results)
    expect(notes.map(({ number }) => number)).toEqual(inputs.map(({ input }) => input))
    // Asked again, each answers the same: one outcome was accepted, and none replaced it.
    const again = outcomes.map((one) => one.outcome !== 'refused' && one.execution.result())
    expect(await Promise.all(again)).toEqual(notes)
  })
})

describe('a directory', () => {
  const { open } = useEngines('embedded')
  let directory = ''

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'holdfast-engine-'))
  })

  afterEach(() => rm(directory, { recursive: true, force: true }))

  test('holds everything that was acknowledged to a process that was then killed', async () => {
    const child = start('submit', directory)
    await child.printed(300)
    await child.kill()
    const acknowledged = child.lines.map((line) => line.split(' '))

    const engine = await open({ directory })
    expect(engine.backend.durability).toBe('directory')
    await engine.work([note], { concurrency: 50 })
    const results = await Promise.all(
      acknowledged.map(([, id]) => engine.execution<Note>(id as string).result()),
    )
    expect(results.map((result) => result.number)).toEqual(
      acknowledged.map(([number]) => Number(number)),
    )
  })

  test('keeps every result that was told, and finishes what was in work', async () => {
    const told = new Map<string, unknown>()
    for (const count of [150, 100]) {
      const child = start('churn', directory)
      await child.printed(count)
      await child.kill()
      for (const line of child.lines) {
        const at = line.indexOf(' ')
        told.set(line.slice(0, at), JSON.parse(line.slice(at + 1)))
      }
    }
    const engine = await open({ directory })
    for (const [id, result] of told) {
      expect(await engine.execution(id).result()).toEqual(result)
    }
    await engine.work([note], { concurrency: 50 })
    const { items } = await engine.backend.listExecutions(0, undefined, 1000)
    expect(items.length).toBeGreaterThanOrEqual(told.size)
    for (const id of items) {
      expect(await engine.execution<Note>(id).result()).toMatchObject({ number: expect.anything() })
    }
  })

  test('goes on with a flow whose process was killed in the middle of it, twice', async () => {
    for (const count of [30, 60]) {
      const child = start('flow', directory)
      await child.printed(count)
      await child.kill()
    }
    const engine = await open({ directory })
    await engine.work([layered], { concurrency: 10 })
    const run = await submitLayered(engine)
    expect(run.duplicate).toBe(true)
    expect(await run.result()).toMatchObject({ state: 'completed', counts: { completed: 201 } })
    expect(await run.execution('total').result()).toBe(layeredTotal)
  })

  test('keeps its word with every commit flushed to the disk, engine after engine', async () => {
    const options = { directory, durability: 'flushed' } as const
    const first = await open(options)
    const waiting = await first.submit(note, 1, { idempotencyKey: 'one' })
    await first.close()
    const second = await open(options)
    expect(await second.submit(note, 1, { idempotencyKey: 'one' })).toMatchObject({
      id: waiting.id,
      duplicate: true,
    })
    await second.work([note])
    const result = await second.execution<Note>(waiting.id).result()
    await second.close()
    const third = await open(options)
    expect(await third.execution(waiting.id).result()).toEqual(result)
  })

  test('belongs to one process at a time', async () => {
    const engine = await open({ directory })
    const refused = start('attempt', directory)
    await refused.printed(1)
    expect(refused.lines).toEqual(['directory_in_use'])
    await engine.close()
    const next = start('attempt', directory)
    await next.printed(1)
    expect(next.lines).toEqual(['open'])
    await next.kill()
    const again = await open({ directory })
    await expect(open({ directory })).rejects.toMatchObject({ code: 'directory_in_use' })
    await again.close()
    await open({ directory })
  })
})

describe('a closed engine', () => {
  const engines = useEngines('valkey')

  test.each(['memory', 'directory', 'server'])(
    'in %s does not keep its process alive, not even with code that never ends',
    async (where) => {
      const directory = await mkdtemp(join(tmpdir(), 'holdfast-engine-'))
      const place = { memory: '', directory, server: engines.server.url }[where] as string
      const child = start('leave', place, freshNamespace())
      await child.printed(1)
      child.tell('close')
      expect(await child.ended()).toBe(0)
      expect(child.lines).toEqual(['begun', 'closed'])
      await rm(directory, { recursive: true, force: true })
    },
  )
})
