// Identifiers: how they are written and read, in which order they sort, and what they give away.
import { describe, expect, test } from 'vitest'
import {
  digest,
  formatExecutionId,
  LocalIdMaker,
  mintLeaseId,
  parseExecutionId,
  partitionOfDigest,
} from '../../src/ids.ts'

const local = '01m83y6swf5ffkx83x1aj6g3gw'

describe('an execution id', () => {
  test.each([0, 1, 63, 1023, 99_999])('carries partition %d', (partition) => {
    const id = formatExecutionId(partition, local)
    expect(parseExecutionId(id)).toEqual({ partition, local })
  })

  test.each([
    '',
    local,
    `-${local}`,
    `00-${local}`,
    `01-${local}`,
    `100000-${local}`,
    `-1-${local}`,
    `0-${local}x`,
    `0-${local.slice(1)}`,
    `0-${local.replace('m', 'i')}`,
    `0-${local.replace('m', 'l')}`,
    `0-${local.replace('m', 'o')}`,
    `0-${local.replace('m', 'u')}`,
    `0-${local.toUpperCase()}`,
    `0-${local}\n`,
    `0 ${local}`,
    undefined,
    null,
    7,
    {},
    [`0-${local}`],
  ])('is none of %j', (id) => {
    expect(() => parseExecutionId(id)).toThrow(
      expect.objectContaining({ code: 'invalid_input', details: { argument: 'executionId' } }),
    )
  })

  test('can be read when it was just made', () => {
    const made = new LocalIdMaker().next(Date.now())
    expect(parseExecutionId(formatExecutionId(3, made)).local).toBe(made)
  })

  test('sorts by the time of its making, and by its order within a millisecond', () => {
    const maker = new LocalIdMaker()
    const made: string[] = []
    for (let ms = 1_700_000_000_000; ms < 1_700_000_000_050; ms++) {
      for (let count = 0; count < 40; count++) made.push(maker.next(ms))
    }
    expect([...made].sort()).toEqual(made)
    expect(new Set(made).size).toBe(made.length)
    expect(maker.next(8_000_000_000_000) > (made.at(-1) as string)).toBe(true)
  })

  test('does not go back when the clock does', () => {
    const maker = new LocalIdMaker()
    const first = maker.next(1_700_000_000_000)
    const second = maker.next(1_600_000_000_000)
    expect(second > first).toBe(true)
  })

  test('of two makers in one millisecond differ', () => {
    const made = Array.from({ length: 1000 }, () => new LocalIdMaker().next(1))
    expect(new Set(made).size).toBe(1000)
  })
})

describe('a lease id', () => {
  test('cannot be guessed and fits where words go', () => {
    const minted = Array.from({ length: 2000 }, mintLeaseId)
    expect(new Set(minted).size).toBe(2000)
    for (const id of minted) expect(id).toMatch(/^[\w-]{16}$/)
  })
})

describe('a digest', () => {
  test('is the same for the same parts, as text or as bytes', () => {
    expect(digest('a', 'ü')).toBe(digest('a', Buffer.from('ü')))
    expect(digest('a')).toMatch(/^[\w-]{22}$/)
  })

  test('does not let parts run together', () => {
    const all = [
      digest('ab', 'c'),
      digest('a', 'bc'),
      digest('abc'),
      digest('abc', ''),
      digest('', 'abc'),
      digest(),
      digest(''),
      digest('1:a'),
      digest('a', '1:b'),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  test('spreads keys evenly over the partitions, and the same key always to the same one', () => {
    const counts = new Array<number>(16).fill(0)
    for (let key = 0; key < 16_000; key++) {
      const partition = partitionOfDigest(digest('key', String(key)), 16)
      expect(partitionOfDigest(digest('key', String(key)), 16)).toBe(partition)
      counts[partition] = (counts[partition] as number) + 1
    }
    for (const count of counts) {
      expect(count).toBeGreaterThan(850)
      expect(count).toBeLessThan(1150)
    }
    expect(partitionOfDigest(digest('any'), 1)).toBe(0)
  })
})
