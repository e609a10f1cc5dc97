// The directory against real files, and against processes that die while they write.

import { mkdir, mkdtemp, open, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openDirectory, type RecordDirectory } from '../../../src/persistence/embedded/directory.ts'
import { startChild, startConfinedChild } from './children.ts'
import { writeEncrypted, writeForeign } from './foreign.ts'

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-directory-'))
  path = join(folder, 'records.v1')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

function put(directory: RecordDirectory, key: string, text: string): Promise<void> {
  return directory.commit(new Map([[key, bytes(text)]]))
}

/** What a new owner of the directory reads. */
async function stored(): Promise<Map<string, Uint8Array>> {
  const directory = await openDirectory(path)
  const records = new Map(directory.load())
  await directory.close()
  return records
}

/** The number of the last LMDB transaction, from the two pages that LMDB writes it to in turn. */
async function transactionCount(): Promise<number> {
  const file = await open(join(path, 'data.mdb'))
  try {
    const { buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, 0)
    const pageBytes = buffer.readUInt32LE(48)
    return Math.max(...[0, pageBytes].map((at) => Number(buffer.readBigUInt64LE(at + 152))))
  } finally {
    await file.close()
  }
}

describe('records', () => {
  it('come back with their bytes after closing', async () => {
    const directory = await openDirectory(path)
    const large = new Uint8Array(1_048_576).map((_, index) => index % 251)
    const huge = new Uint8Array(5_000_000).map((_, index) => index % 241)
    const records: [string, Uint8Array][] = [
      ['', bytes('empty key')],
      ['empty', new Uint8Array(0)],
      ['every byte', new Uint8Array(256).map((_, index) => index)],
      ['huge', huge],
      ['large', large],
      ['nul \0 and \u0001', bytes('control')],
      ['view', large.subarray(1000, 1010)],
      ['ünï 😀', bytes('text')],
    ]
    // Compares by itself: the test runner takes seconds for a megabyte.
    const requireEqual = (found: [string, Uint8Array][]) => {
      expect(found.map(([key]) => key)).toEqual(records.map(([key]) => key))
      for (const [index, [, value]] of found.entries()) {
        expect(Buffer.compare(value, records[index]![1])).toBe(0)
      }
    }
    await directory.commit(new Map(records))
    requireEqual([...directory.load()])
    await directory.close()
    requireEqual([...(await stored())])
  })

  it('are listed in the order of the bytes of their keys', async () => {
    const directory = await openDirectory(path)
    const keys = ['b', 'a\0', 'aa', 'é', '\u{10000}', '\uffff', '', 'a', 'B']
    await directory.commit(new Map(keys.map((key) => [key, bytes(key)])))
    const expected = keys.map((key) => Buffer.from(key)).sort(Buffer.compare)
    expect([...directory.load()].map(([key]) => key)).toEqual(expected.map(String))
    await directory.close()
  })

  it('are deleted by undefined, also when they never existed', async () => {
    const directory = await openDirectory(path)
    await directory.commit(
      new Map([
        ['gone', bytes('1')],
        ['kept', bytes('1')],
      ]),
    )
    await directory.commit(
      new Map([
        ['gone', undefined],
        ['never', undefined],
      ]),
    )
    await directory.close()
    expect([...(await stored()).keys()]).toEqual(['kept'])
  })

  it('take keys up to the limit and refuse longer ones before anything is written', async () => {
    const directory = await openDirectory(path)
    await put(directory, 'k'.repeat(1977), 'longest')
    await put(directory, '€'.repeat(659), 'longest in three bytes')
    for (const key of ['k'.repeat(1978), '€'.repeat(660), 'half \ud800 pair']) {
      const changes = new Map([
        ['beside', bytes('1')],
        [key, bytes('1')],
      ])
      await expect(directory.commit(changes)).rejects.toMatchObject({ code: 'invalid_input' })
    }
    await directory.close()
    expect([...(await stored()).keys()]).toEqual(['k'.repeat(1977), '€'.repeat(659)])
  })
})

describe('commits', () => {
  it('of one turn share one transaction', async () => {
    const directory = await openDirectory(path)
    const before = await transactionCount()
    const keys = Array.from({ length: 1000 }, (_, index) => String(index))
    await Promise.all(keys.map((key) => put(directory, key, key)))
    expect((await transactionCount()) - before).toBe(1)
    await directory.close()
    expect((await stored()).size).toBe(1000)
  })

  it('that arrive while one is being written wait for the next transaction', async () => {
    const directory = await openDirectory(path)
    const before = await transactionCount()
    const worker = async (name: number) => {
      for (let round = 0; round < 20; round++) await put(directory, `${name} ${round}`, 'x')
    }
    await Promise.all(Array.from({ length: 100 }, (_, name) => worker(name)))
    const count = (await transactionCount()) - before
    expect(count).toBeGreaterThanOrEqual(20)
    expect(count).toBeLessThanOrEqual(25)
    await directory.close()
    expect((await stored()).size).toBe(2000)
  })

  it.each(['committed', 'flushed'] as const)('keep the order of calls (%s)', async (durability) => {
    const directory = await openDirectory(path, { durability })
    const settled: number[] = []
    const commits: Promise<void>[] = []
    const model = new Map<string, string>()
    for (let call = 0; call < 3000; call++) {
      const key = `key ${(call * 7919) % 97}`
      if (call % 5 === 0) model.delete(key)
      else model.set(key, String(call))
      const value = call % 5 === 0 ? undefined : bytes(String(call))
      commits.push(directory.commit(new Map([[key, value]])).then(() => void settled.push(call)))
      if (call % 100 === 0) await commits.at(-1)
    }
    await Promise.all(commits)
    expect(settled).toEqual(settled.toSorted((one, other) => one - other))
    await directory.close()
    const records = [...(await stored())].map(([key, value]) => [
      key,
      Buffer.from(value).toString(),
    ])
    expect(records).toEqual([...model].sort(([one], [other]) => (one < other ? -1 : 1)))
  })

  it('without changes wait for those before them and write nothing', async () => {
    const directory = await openDirectory(path)
    let isWritten = false
    const earlier = put(directory, 'a', '1').then(() => {
      isWritten = true
    })
    await directory.commit(new Map())
    expect(isWritten).toBe(true)
    await earlier
    const before = await transactionCount()
    await directory.commit(new Map())
    expect(await transactionCount()).toBe(before)
    await directory.close()
  })

  it('are finished by close and refused after it', async () => {
    const directory = await openDirectory(path)
    const pending = [put(directory, 'a', '1'), put(directory, 'b', '2')]
    const closing = directory.close()
    await expect(put(directory, 'c', '3')).rejects.toMatchObject({ code: 'directory_closed' })
    expect(() => [...directory.load()]).toThrow(/directory_closed/)
    await Promise.all([...pending, closing, directory.close()])
    expect([...(await stored()).keys()]).toEqual(['a', 'b'])
  })

  it.skipIf(process.platform === 'win32')(
    'of a group that fails are all rejected, and so is everything later',
    async () => {
      const child = startConfinedChild('fill', path, 4000)
      expect(await child.ended()).toBe(0)
      const acknowledged = child.lines.filter((line) => line.startsWith('stored'))
      expect(acknowledged.length).toBeGreaterThan(4)
      const failed = Array.from({ length: 3 }, () => 'directory_closed')
      expect(child.lines.slice(acknowledged.length)).toEqual([...failed, 'closed'])
      expect([...(await stored()).keys()].sort()).toEqual(
        acknowledged.map((line) => line.slice('stored '.length)).sort(),
      )
    },
  )
})

describe('a killed process', () => {
  it.each(['committed', 'flushed'])('loses nothing acknowledged (%s)', async (durability) => {
    for (const lineCount of [1, 10, 101, 1000]) {
      const child = startChild('count', path, durability)
      await child.printed(lineCount)
      await child.kill()
      const records = await stored()
      const numbers = [...records.keys()].filter((key) => key.startsWith('left'))
      // In order and without gaps, each commit whole.
      const expected = numbers.map((_, index) => String(index).padStart(9, '0'))
      expect(numbers).toEqual(expected.map((number) => `left ${number}`))
      expect([...records.keys()].slice(numbers.length)).toEqual(
        expected.map((number) => `right ${number}`),
      )
      for (const [key, value] of records) {
        expect(Buffer.from(value).toString()).toBe(key.slice(-9).repeat(20))
      }
      expect(numbers.length).toBeGreaterThan(Math.max(...child.lines.map(Number)))
    }
  })
})

describe('openDirectory', () => {
  it('makes missing folders and finds the same one by another path', async () => {
    path = join(folder, 'some', 'where', 'deep')
    const directory = await openDirectory(path)
    await put(directory, 'a', '1')
    await symlink(path, join(folder, 'link'))
    await expect(openDirectory(join(folder, 'link'))).rejects.toMatchObject({
      code: 'directory_in_use',
    })
    await directory.close()
    path = join(folder, 'link')
    expect((await stored()).size).toBe(1)
  })

  it('keeps its own records out of load', async () => {
    expect([...(await stored())]).toEqual([])
    expect([...(await stored())]).toEqual([])
  })

  it('leaves only the files of LMDB behind', async () => {
    await stored()
    expect((await readdir(path)).sort()).toEqual(['data.mdb', 'lock.mdb'])
  })

  const refused = async () => {
    await expect(openDirectory(path)).rejects.toMatchObject({
      code: 'directory_invalid',
      details: { path },
    })
    const left = await readdir(path).catch(() => [])
    expect(left.filter((name) => !name.endsWith('.mdb'))).toEqual([])
  }

  it('refuses a file', async () => {
    await writeFile(path, 'a file')
    await refused()
    path = join(path, 'below')
    await refused()
  })

  it('refuses a folder that cannot be written', async () => {
    await mkdir(path)
    await mkdir(join(path, 'lock.mdb'))
    await refused()
  })

  it.each(['short', 'x'.repeat(50_000), '\0'.repeat(50_000)])(
    'refuses other data',
    async (text) => {
      await mkdir(path)
      await writeFile(join(path, 'data.mdb'), text)
      await refused()
    },
  )

  it('refuses records of other programs and does not touch them', async () => {
    await writeForeign(path, 'hello', 'world')
    const before = await transactionCount()
    await refused()
    await refused()
    expect(await transactionCount()).toBe(before)
  })

  it('refuses encrypted records', async () => {
    await writeEncrypted(path)
    await refused()
  })

  it('refuses a schema that it does not know', async () => {
    await stored()
    await writeForeign(path, '\0schema', '2')
    await refused()
    await writeForeign(path, '\0schema', '1')
    await stored()
  })
})
