// The page of options shows every option type that people can name.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { optionsPage, optionTypes } from '../../scripts/generate-options.ts'

const root = join(import.meta.dirname, '../..')

/** Made of types of the backend, whose properties they name; no declarations of their own. */
const aliases = ['SignalOptions', 'UsageOptions']

test('Every exported option type has its place on the page', () => {
  const surface = readFileSync(join(root, 'src/index.ts'), 'utf8')
  const exported = [...surface.matchAll(/\b\w+Options\b/g)].map(([name]) => name)
  expect(exported.length).toBeGreaterThan(10)
  const left = exported.filter((name) => !aliases.includes(name) && !optionTypes.has(name))
  expect(left).toEqual([])
})

test('The page tells type, default and meaning of own and inherited options', () => {
  const page = optionsPage()
  expect(page).toContain("| `lease` | `Duration` | '30s' | After a crash, others claim the work")
  expect(page).toContain('| `name` | `string` | (required) | By which workers know what to run')
  expect(page).toContain('| `codec` | `Codec` | `jsonCodec` |')
  expect(page).not.toContain('resetEveryMs')
})
