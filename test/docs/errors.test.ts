// The catalogue of error codes, the code that throws them and the page that explains them agree.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readRefusalCodes } from '../../scripts/lua-contracts.ts'
import { EngineError, type ErrorCode, errorCatalogue, isEngineError } from '../../src/errors.ts'

const root = join(import.meta.dirname, '..', '..')
const codes = Object.keys(errorCatalogue) as ErrorCode[]

/** Codes that are put together: `execution_` and how the execution ended. */
const composed = [
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_skipped',
]

it('every code that Lua refuses with is in the catalogue', () => {
  const used = [...readRefusalCodes()]
  expect(used.length).toBeGreaterThan(10)
  expect(used.filter((code) => !(code in errorCatalogue))).toEqual([])
})

it('every code of the catalogue is used', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && path !== 'errors.ts' && !path.includes('generated'))
    .map((path) => readFileSync(join(root, 'src', path), 'utf8'))
    .join('\n')
  const used = new Set([...readRefusalCodes(), ...composed, 'invariant_broken'])
  expect(codes.filter((code) => !used.has(code) && !sources.includes(`'${code}'`))).toEqual([])
})

it('the page has one heading for each code', () => {
  const page = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8')
  const headings = [...page.matchAll(/^### `(\w+)`$/gm)].map(([, code]) => code)
  expect(headings.toSorted()).toEqual(codes.toSorted())
})

it('an error says what happened and what to do, and keeps its facts', () => {
  const cause = new Error('why')
  const error = new EngineError('lane_closed', 'lane x', { cause, details: { lane: 'x' } })
  expect(error.message).toBe(
    'lane_closed: lane x. The lane is draining; resume it before submitting to it.',
  )
  expect(error).toMatchObject({ cause, details: { lane: 'x' }, family: 'State', retryable: false })
  expect(isEngineError(error, 'lane_closed')).toBe(true)
  expect(isEngineError(error, 'stale_lease')).toBe(false)
  expect(isEngineError(cause)).toBe(false)
})
