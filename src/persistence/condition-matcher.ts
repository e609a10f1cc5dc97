// The parts of a resume condition as callers write them: what is wrong with them, and matchers.
import { EngineError } from '../errors.ts'
import { bytesMax } from '../limits.ts'
import { type ConditionRule, isReserved, percentEncode } from './condition-node.ts'
import { wordProblem } from './word.ts'

/** Rules that only what callers write can break: the stored text has no words for it. */
type CallerRule =
  | 'count_not_whole'
  | 'duplicate_keys'
  | 'empty_name'
  | 'empty_names'
  | 'not_a_list'
  | 'unknown_count'
  | 'unknown_field'
  | 'unknown_kind'
  | 'waitpoint_not_referenced'

/** Throws `invalid_resume_condition` with the rule and where it is broken. */
export function refuse(
  rule: ConditionRule | CallerRule,
  path: string,
  why: string,
  values: Readonly<Record<string, unknown>> = {},
): never {
  throw new EngineError(
    'invalid_resume_condition',
    `the condition${path === '' ? '' : ` at ${path}`} ${why} (${rule})`,
    { details: { rule, path, ...values } },
  )
}

/** A value from outside as it may stand in a message. */
export const shown = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? `${value}`.slice(0, 80) : typeof value

/** The path of a field of what stands at `path`. */
export const inside = (path: string, field: string): string =>
  path === '' ? field : `${path}.${field}`

/** What callers hand in, before it is checked. */
export type Fields = Readonly<Record<string, unknown>>

/**
 * The value as an object of known fields. A misspelt field would otherwise be a wish that nobody
 * hears, such as any signal at all.
 */
export function fieldsOf(value: unknown, path: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('unknown_kind', path, 'is not an object')
  }
  const unknown = Object.keys(value).find((field) => !known.includes(field))
  if (unknown !== undefined) {
    refuse('unknown_field', path, `has an unknown field "${shown(unknown)}"`, {
      field: shown(unknown),
    })
  }
  return value as Fields
}

/** The value as a list, which it must be. */
export function listOf(value: unknown, path: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse('not_a_list', path, 'is not a list')
}

const isWellFormed = (text: string): boolean => Buffer.from(text).toString() === text

function wordOf(value: unknown, path: string, letter: string): string {
  if (typeof value === 'string' && wordProblem(value) === undefined && isWellFormed(value)) {
    if (!isReserved(letter, value)) return value
    return refuse('reserved_word', path, `is "${value}", which no sender may use`, { value })
  }
  const why = wordProblem(value) ?? 'must be well-formed text'
  return refuse('not_a_word', path, why, { given: shown(value) })
}

function namesOf(value: unknown, path: string): string {
  const names = listOf(value, path)
  if (names.length === 0) refuse('empty_names', path, 'names nothing, so no signal would fit')
  const words = names.map((name, position) => {
    const at = `${path}[${position}]`
    return name === '' ? refuse('empty_name', at, 'is an empty name') : wordOf(name, at, 'n')
  })
  return [...new Set(words)].join(',')
}

function correlationOf(value: unknown, path: string): string {
  const isText = typeof value === 'string' && value !== '' && isWellFormed(value)
  if (isText && Buffer.byteLength(value) <= bytesMax.label) return percentEncode(value)
  return refuse('invalid_correlation_id', path, `is not text of 1 to ${bytesMax.label} bytes`)
}

/** A matcher as its token. */
export function matcherOf(value: unknown, path: string): string {
  if (value === undefined) return '*'
  const match = fieldsOf(value, path, ['names', 'category', 'source', 'correlationId'])
  const parts = [
    ['n:', 'names', namesOf],
    ['c:', 'category', wordOf],
    ['t:', 'source', wordOf],
    ['r:', 'correlationId', correlationOf],
  ] as const
  const texts = parts
    .filter(([, field]) => match[field] !== undefined)
    .map(([mark, field, read]) => {
      return mark + read(match[field], inside(path, field), mark.charAt(0))
    })
  return texts.length === 0 ? '*' : texts.join('|')
}
