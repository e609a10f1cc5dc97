// Who owns a directory, among openers that live, stop, end, and get killed.

import { access, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openDirectory } from '../../../src/persistence/embedded/directory.ts'
import { type OwnerCell, takeOwnership } from '../../../src/persistence/embedded/owner.ts'
import { type Child, startChild } from './children.ts'

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-owner-'))
  path = join(folder, 'records')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const inUse = { code: 'directory_in_use', retryable: true }

async function startHolder(): Promise<Child> {
  const child = startChild('hold', path)
  child.tell('open')
  await child.printed(2)
  expect(child.lines).toEqual(['ready', 'open'])
  return child
}

const sockets = async () => (await readdir(path)).filter((name) => name.startsWith('owner-'))

describe('a live owner', () => {
  it('refuses others in its process, until it closes', async () => {
    const directory = await openDirectory(path)
    await expect(openDirectory(path)).rejects.toMatchObject(inUse)
    await expect(openDirectory(path)).rejects.toMatchObject(inUse)
    await directory.close()
    await (await openDirectory(path)).close()
  })

  it('lets one of many win in its process', async () => {
    const opened = await Promise.allSettled(Array.from({ length: 5 }, () => openDirectory(path)))
    const winners = opened.filter((result) => result.status === 'fulfilled')
    const losers = opened.filter((result) => result.status === 'rejected')
    expect(winners).toHaveLength(1)
    expect(losers.map((loser) => loser.reason)).toEqual(
      losers.map(() => expect.objectContaining(inUse)),
    )
    await winners[0]!.value.close()
  })

  it('refuses other processes', async () => {
    const directory = await openDirectory(path)
    const child = startChild('hold', path)
    child.tell('open')
    await child.printed(2)
    expect(child.lines[1]).toBe('directory_in_use')
    await child.kill()
    expect(await sockets()).toHaveLength(1)
    await directory.close()
    expect(await sockets()).toEqual([])
  })

  it('refuses while it is stopped in the middle of its commits', async () => {
    const child = startChild('count', path)
    for (let lineCount = 1; lineCount <= 200; lineCount += 20) {
      await child.printed(lineCount)
      child.signal('SIGSTOP')
      await expect(openDirectory(path)).rejects.toMatchObject(inUse)
      child.signal('SIGCONT')
    }
    await child.kill()
    await (await openDirectory(path)).close()
  })

  it('refuses where the path is longer than the address of a socket can be', async () => {
    path = join(folder, 'long '.repeat(20), 'longer '.repeat(20))
    const child = await startHolder()
    await expect(openDirectory(path)).rejects.toMatchObject(inUse)
    expect(await sockets()).toHaveLength(1)
    await child.kill()
    await (await openDirectory(path)).close()
    expect(await sockets()).toEqual([])
  })

  it('does not keep its process from ending', async () => {
    const child = startChild('leave', path)
    expect(await child.ended()).toBe(0)
    expect(child.lines).toEqual(['open'])
    await (await openDirectory(path)).close()
    expect(await sockets()).toEqual([])
  })
})

describe('a killed owner', () => {
  it('never blocks, and leaves nothing behind once somebody took over', async () => {
    for (let round = 0; round < 3; round++) await (await startHolder()).kill()
    expect(await sockets()).toHaveLength(1)
    const directory = await openDirectory(path)
    expect(await sockets()).toHaveLength(1)
    await directory.close()
    expect(await sockets()).toEqual([])
  })

  it('is followed by exactly one of those who come at once', async () => {
    await (await startHolder()).kill()
    const openers = Array.from({ length: 4 }, () => startChild('hold', path))
    for (const opener of openers) await opener.printed(1)
    for (const opener of openers) opener.tell('open')
    for (const opener of openers) await opener.printed(2)
    const answers = openers.map((opener) => opener.lines[1]).sort()
    const loses = 'directory_in_use'
    expect(answers).toEqual([loses, loses, loses, 'open'])
    for (const opener of openers) await opener.kill()
  })
})

describe('takeOwnership', () => {
  /** A cell in memory, which two openers reach in an order that the test chooses. */
  function memoryCell(initial?: string): OwnerCell & { holder: string | undefined } {
    return {
      holder: initial,
      exchange(expected, next) {
        if (this.holder === undefined || this.holder === expected) this.holder = next
        return this.holder
      },
    }
  }

  beforeEach(() => mkdir(path))

  it('gives a dead owner up to exactly one of many', async () => {
    for (let round = 0; round < 20; round++) {
      const cell = memoryCell('owner-0123456789abcdef')
      const taken = await Promise.allSettled(
        Array.from({ length: 10 }, () => takeOwnership(path, cell)),
      )
      const winners = taken.filter((result) => result.status === 'fulfilled')
      expect(winners).toHaveLength(1)
      expect(await sockets()).toEqual([cell.holder])
      await winners[0]!.value.release()
      expect(await sockets()).toEqual([])
    }
  })

  it('follows the cell when another opener was quicker and is gone already', async () => {
    const quick = `owner-${'a'.repeat(16)}`
    const cell = memoryCell(`owner-${'b'.repeat(16)}`)
    const exchanged: (string | undefined)[] = []
    const owner = await takeOwnership(path, {
      exchange(expected, next) {
        exchanged.push(expected)
        if (exchanged.length === 2) cell.holder = quick
        return cell.exchange(expected, next)
      },
    })
    expect(exchanged).toEqual([undefined, `owner-${'b'.repeat(16)}`, quick])
    expect(await sockets()).toEqual([cell.holder])
    await owner.release()
  })

  it('removes its socket when the cell cannot be written', async () => {
    const cell: OwnerCell = {
      exchange() {
        throw new Error('disk full')
      },
    }
    await expect(takeOwnership(path, cell)).rejects.toThrow('disk full')
    expect(await sockets()).toEqual([])
  })

  it('says what is wrong when no socket can be made', async () => {
    const missing = join(folder, 'missing')
    await expect(takeOwnership(missing, memoryCell())).rejects.toMatchObject({
      code: 'directory_invalid',
    })
    await expect(access(missing)).rejects.toThrow()
  })
})
