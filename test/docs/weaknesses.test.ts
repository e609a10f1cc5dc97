// The table of weaknesses is complete, and what it says is tested has a test.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs/reference/weaknesses.md'), 'utf8')
const rows = [...page.matchAll(/^\| (W\d+) \| .* \| (\w+) \| .*\|$/gm)].map(([, number, how]) => ({
  number: number as string,
  how: how as string,
}))

it('every weakness of the list has a row', () => {
  expect(rows.map(({ number }) => number)).toEqual(
    Array.from({ length: 55 }, (_, index) => `W${index + 1}`),
  )
  const ways = ['test', 'construction', 'later', 'documented']
  expect(rows.filter(({ how }) => !ways.includes(how))).toEqual([])
})

it('every row that names a test has one with its number', () => {
  const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('docs'))
    .map((path) => readFileSync(join(root, 'test', path), 'utf8'))
    .join('\n')
  const marks = [...tests.matchAll(/\((W\d+(?:, ?W\d+)*)\)/g)].map(([, marked]) => marked as string)
  const marked = new Set(marks.flatMap((mark) => mark.split(/, ?/)))
  const untested = rows.filter(({ number, how }) => how === 'test' && !marked.has(number))
  expect(untested).toEqual([])
})
