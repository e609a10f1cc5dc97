// Checks the arguments of operations before anything is sent or written; Lua checks the same.
import { EngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import { type Bounds, bounds, bytesMax, counts, failureClasses, laneStates } from '../limits.ts'
import type { OperationName } from './contract.ts'
import { operationPlans } from './generated/operations.ts'
import { parseRetryPolicy } from './retry-policy.ts'

/** Returns what is wrong with a value, or undefined when it is fine. */
type Check = (value: unknown) => string | undefined

// Bars and commas join words in keys and on the wire; white space and control characters hide.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const notInWords = /[\u0000-\u0020\u007f|,]/

/** Words of plain letters, digits and marks: nearly all are, and their bytes need no count. */
const plainWord = /^[!-+\-./0-{}~]+$/

function wordProblem(value: unknown, lengthMax: number = bytesMax.word): string | undefined {
  if (typeof value !== 'string') return 'must be a string'
  if (value.length <= lengthMax && plainWord.test(value)) return undefined
  const length = Buffer.byteLength(value)
  if (length < 1 || length > lengthMax || notInWords.test(value)) {
    return `must be 1 to ${lengthMax} bytes without white space, commas or bars`
  }
  return undefined
}

function textCheck(lengthMax: number): Check {
  return (value) => {
    if (typeof value !== 'string') return 'must be a string'
    return Buffer.byteLength(value) > lengthMax ? `is longer than ${lengthMax} bytes` : undefined
  }
}

function bytesCheck(lengthMax: number): Check {
  return (value) => {
    if (!(value instanceof Uint8Array)) return 'must be bytes'
    return value.byteLength > lengthMax ? `is larger than ${lengthMax} bytes` : undefined
  }
}

function wordsCheck(lengthMax: number, countMax: number, countMin = 0): Check {
  return (value) => {
    if (typeof value !== 'string') return 'must be a list of words'
    const list = value === '' ? [] : value.split(',')
    if (list.length < countMin) return 'must name at least one'
    if (list.length > countMax) return `names more than ${countMax}`
    if (Buffer.byteLength(value) > lengthMax) return `is longer than ${lengthMax} bytes in all`
    return list.map((item) => wordProblem(item, lengthMax)).find((problem) => problem !== undefined)
  }
}

const oneOf =
  (values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value) ? undefined : `must be one of ${values.join(', ')}`

const matching =
  (pattern: RegExp, what: string): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? undefined : what

const checks: Readonly<Record<string, Check>> = {
  id: matching(/^[0-9a-hjkmnp-tv-z]{26}$/, 'is not an execution id'),
  digest: matching(/^[\w-]{22}$/, 'is not a digest'),
  kinds: matching(/^[frc]+$/, 'must name fresh, resumed or reclaimable work'),
  word: (value) => wordProblem(value),
  lease_stem: (value) => wordProblem(value, bytesMax.word - 4),
  text: textCheck(bytesMax.text),
  tags: textCheck(bytesMax.tags),
  input: bytesCheck(bytesMax.input),
  failure: bytesCheck(bytesMax.failure),
  flag: oneOf([true, false]),
  class: oneOf(failureClasses),
  lane_state: oneOf(laneStates),
  grant_of: oneOf(['runnable', 'leased']),
  capabilities: wordsCheck(bytesMax.capabilities, counts.capabilitiesMax),
  lanes: (value) =>
    wordsCheck(bytesMax.lanes, counts.lanesPerClaimMax, 1)(value) ??
    String(value)
      .split(',')
      .map((lane) => wordProblem(lane))
      .find((problem) => problem),
  retry: (value) =>
    typeof value === 'string' && parseRetryPolicy(value) !== undefined
      ? undefined
      : 'is not a retry policy',
}

function boundsProblem(type: keyof typeof bounds, value: unknown): string | undefined {
  const { min, max } = bounds[type]
  const fits = Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
  return fits ? undefined : `must be a whole number from ${min} to ${max}`
}

/** What is wrong with one value of a declared type; undefined when nothing is. */
function problemOf(type: string, value: unknown): string | undefined {
  const check = checks[type]
  return check === undefined ? boundsProblem(type as keyof typeof bounds, value) : check(value)
}

/** Arguments that callers know by another name than the stored operations do. */
const callerNames: Readonly<Record<string, string>> = {
  class: 'failureClass',
  deadline_at: 'deadlineAtMs',
  not_before: 'startAtMs',
  note: 'message',
  result: 'payload',
  sleep_ms: 'maxWaitMs',
  why: 'reason',
  'lease.revoke lease_id': 'expectedLeaseId',
}

function callerName(operation: OperationName, argument: string): string {
  const known = callerNames[`${operation} ${argument}`] ?? callerNames[argument]
  return known ?? argument.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** Throws `invalid_input` (or `invalid_capabilities`) for the first argument that does not fit. */
export function checkArguments(name: OperationName, args: Readonly<Record<string, unknown>>): void {
  for (const { name: argument, type, optional } of operationPlans[name].args) {
    const value = args[argument]
    if (value === undefined && optional) continue
    const why = problemOf(type, value)
    if (why === undefined) continue
    const given = callerName(name, argument)
    throw new EngineError(
      type === 'capabilities' ? 'invalid_capabilities' : 'invalid_input',
      `${given} ${why}`,
      { details: { operation: name, argument: given, why } },
    )
  }
}

/** Throws `invalid_input` unless the value is one word: a name, a lane, a capability. */
export function checkWord(argument: string, value: unknown): void {
  const why = wordProblem(value)
  if (why === undefined) return
  throw new EngineError('invalid_input', `${argument} ${why}`, {
    details: { argument, why, given: String(value) },
  })
}

/** How many rows a page may be asked for; the server gives fewer. */
export const anyCount: Bounds = { min: 0, max: Number.MAX_SAFE_INTEGER }

/** The local part of a cursor, or `invalid_input` under its own name. */
export function parseCursor(cursor: ExecutionId): string {
  try {
    return parseExecutionId(cursor).local
  } catch (cause) {
    throw new EngineError('invalid_input', 'cursor is not an execution id', {
      cause,
      details: { argument: 'cursor' },
    })
  }
}

/** Throws `invalid_input` unless there are words and each fits. */
export function checkWords(
  argument: string,
  words: readonly string[],
  fits: (word: string) => boolean,
): void {
  const wrong = words.find((word) => !fits(word))
  if (wrong === undefined && words.length > 0) return
  throw new EngineError('invalid_input', `${argument} names nothing, or ${String(wrong)}`, {
    details: { argument, given: wrong },
  })
}

/** Throws `invalid_input` unless the value is a whole number within bounds. */
export function checkWhole(argument: string, value: number, { min, max }: Bounds): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw new EngineError(
    'invalid_input',
    `${argument} must be a whole number from ${min} to ${max}`,
    {
      details: { argument, given: value },
    },
  )
}
