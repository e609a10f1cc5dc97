// The tables of weaknesses are complete, and what they say is tested has a test.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs/reference/weaknesses.md'), 'utf8')
const rowPattern = /^\| ((?:[SF]-)?[WRC]\d+) \| .* \| (\w+) \| (.*)\|$/gm
const rows = [...page.matchAll(rowPattern)].map(([, number, way, how]) => ({
  number: number as string,
  way: way as string,
  /** Test files that the row names; the others are found by their number. */
  files: [...(how as string).matchAll(/`(test\/[\w./-]+\.ts)`/g)].map(([, file]) => file as string),
}))

const numbers = (mark: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${mark}${index + 1}`)

it('every weakness of the lists has a row', () => {
  const all = [
    ...numbers('W', 55),
    ...numbers('S-W', 34),
    ...numbers('S-R', 12),
    ...numbers('S-C', 20),
    ...numbers('F-C', 21),
    ...numbers('F-W', 40),
  ]
  expect(rows.map(({ number }) => number)).toEqual(all)
  const ways = ['test', 'construction', 'documented']
  expect(rows.filter(({ way }) => !ways.includes(way))).toEqual([])
})

it('every row that names a test has one with its number, or is told where', () => {
  const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('docs'))
    .map((path) => readFileSync(join(root, 'test', path), 'utf8'))
    .join('\n')
  const one = '(?:[SF]-)?[WRC]\\d+'
  const marks = [...tests.matchAll(new RegExp(`\\((${one}(?:, ?${one})*)\\)`, 'g'))]
  const marked = new Set(marks.flatMap(([, found]) => (found as string).split(/, ?/)))
  const untested = rows.filter(({ number, way, files }) => {
    if (way !== 'test') return false
    return files.length > 0
      ? files.some((file) => !existsSync(join(root, file)))
      : !marked.has(number)
  })
  expect(untested).toEqual([])
})
