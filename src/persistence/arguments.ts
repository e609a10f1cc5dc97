// Checks the arguments of operations before anything is sent or written; Lua checks the same.
import { EngineError, type ErrorCode } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import {
  type Bounds,
  bounds,
  bytesMax,
  choices,
  counts,
  failureClasses,
  frameEncodings,
  frameModes,
  laneStates,
  partsMax,
  timeoutBehaviours,
} from '../limits.ts'
import { leafOf } from '../machines/table.ts'
import { amountsProblem, limitsProblem, parseResult } from './amounts.ts'
import type { FieldPlan, OperationName } from './contract.ts'
import type { Frame, FrameMode } from './frames.ts'
import { operationPlans, partPlans } from './generated/operations.ts'
import { parseRetryPolicy } from './retry-policy.ts'
import { wordProblem } from './word.ts'

/** Returns what is wrong with a value, or undefined when it is fine. */
type Check = (value: unknown) => string | undefined

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

const idPattern = /^[0-9a-hjkmnp-tv-z]{26}$/

/** Each record of a list must fit the shape of that kind. */
function partsCheck(kind: keyof typeof partsMax): Check {
  return (value) => {
    if (!Array.isArray(value)) return 'must be a list'
    if (value.length > partsMax[kind]) return `has more than ${partsMax[kind]} entries`
    for (const [at, record] of value.entries()) {
      const why = partProblem(kind, record)
      if (why !== undefined) return `number ${at + 1} ${why}`
    }
    return undefined
  }
}

function partProblem(kind: string, record: Readonly<Record<string, unknown>>): string | undefined {
  for (const { name, type, optional } of partPlans[kind] ?? []) {
    const value = record[name]
    if (value === undefined && optional) continue
    const why = problemOf(type, value)
    if (why !== undefined) return `${name} ${why}`
  }
  return undefined
}

const checks: Readonly<Record<string, Check>> = {
  id: matching(idPattern, 'is not an execution id'),
  ids: (value) => {
    const ids = String(value).split(',')
    if (ids.length > partsMax.members) return 'names too many executions'
    return ids.every((id) => idPattern.test(id)) ? undefined : 'is not a list of execution ids'
  },
  members: partsCheck('members'),
  edges: partsCheck('edges'),
  joins: partsCheck('joins'),
  digest: matching(/^[\w-]{22}$/, 'is not a digest'),
  kinds: matching(/^[frc]+$/, 'must name fresh, resumed or reclaimable work'),
  word: (value) => wordProblem(value),
  lease_stem: (value) => wordProblem(value, bytesMax.word - 4),
  text: textCheck(bytesMax.text),
  tags: textCheck(bytesMax.tags),
  tag_digests: (value) =>
    typeof value === 'string' &&
    /^[\w-]{44}(,[\w-]{44})*$/.test(value) &&
    value.length < 45 * counts.tagsMax
      ? undefined
      : 'is not a list of digests of tags',
  leaves: (value) =>
    typeof value === 'string' && value.split(',').every((name) => leafOf(name) !== undefined)
      ? undefined
      : 'names no state',
  input: bytesCheck(bytesMax.input),
  failure: bytesCheck(bytesMax.failure),
  frame: bytesCheck(bytesMax.frame),
  document: bytesCheck(bytesMax.summary),
  frame_mode: oneOf(frameModes),
  frame_encoding: oneOf(frameEncodings),
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
  points: (value) => (isPoints(value) ? undefined : 'must be 1 to 64 different waitpoints'),
  condition: (value) => (value === '' ? 'is empty' : textCheck(bytesMax.condition)(value)),
  behaviour: oneOf(timeoutBehaviours),
  waitpoint_scope: oneOf(['attempt', 'run']),
  kid: matching(/^[\w-]{1,32}$/, 'must be 1 to 32 letters, digits, _ or -'),
  secret: matching(/^[\w-]{43,171}$/, 'is not 32 to 128 bytes in base64url'),
  label: (value) => textCheck(bytesMax.label)(value),
  signal_name: (value) =>
    String(value).startsWith('__') ? 'begins with two underscores' : wordProblem(value),
  signal_source: (value) => (value === 'engine' ? "is the engine's own" : wordProblem(value)),
  signal_category: (value) => (value === 'timeout' ? "is the engine's own" : wordProblem(value)),
  signal_payload: bytesCheck(bytesMax.signalPayload),
  owed_row: (value) =>
    textCheck(bytesMax.text)(value) ??
    matching(/^[a-z]+ \d+ [^ ]+ [^ ]+ [^ :]+:\d+$/, 'is no row of what is owed')(value),
  budget_id: matching(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, _, . or -'),
  budget_ids: (value) =>
    matching(/^[\w.-]{1,64}(,[\w.-]{1,64})*$/, 'must be 1 to 8 budget ids')(value) ??
    (String(value).split(',').length > counts.budgetsPerExecutionMax
      ? 'names more than 8 budgets'
      : undefined),
  execution: matching(/^\d{1,4}-[0-9a-hjkmnp-tv-z]{26}$/, 'is not an execution id'),
  amounts: (value) => textCheck(bytesMax.amounts)(value) ?? amountsProblem(String(value)),
  dimension_limits: (value) =>
    textCheck(bytesMax.dimensionLimits)(value) ?? limitsProblem(String(value)),
  usage_result: (value) =>
    textCheck(bytesMax.label)(value) ??
    (parseResult(String(value)) === undefined ? 'is not what comes of a report' : undefined),
  retry: (value) =>
    typeof value === 'string' && parseRetryPolicy(value) !== undefined
      ? undefined
      : 'is not a retry policy',
}

const choiceChecks: Readonly<Record<string, Check>> = Object.fromEntries(
  Object.entries(choices).map(([kind, words]) => [kind, oneOf(words)]),
)

const pointPattern = /^[\w-]{22}(?: ([^ ]+) [\w-]{1,32})?$/

/** Waitpoints of a suspension: ids of issued ones; id, key and signing key of new ones. */
function isPoints(value: unknown): boolean {
  if (typeof value !== 'string' || Buffer.byteLength(value) > bytesMax.waitpoints) return false
  const items = value.split(',')
  const ids = new Set(items.map((item) => item.slice(0, 22)))
  if (ids.size !== items.length || items.length > counts.waitpointsPerSuspensionMax) return false
  return items.every((item) => {
    const parts = pointPattern.exec(item)
    const key = parts?.[1]
    return parts !== null && (key === undefined || wordProblem(key) === undefined)
  })
}

function boundsProblem(type: keyof typeof bounds, value: unknown): string | undefined {
  const { min, max } = bounds[type]
  const fits = Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
  return fits ? undefined : `must be a whole number from ${min} to ${max}`
}

/** What is wrong with one value of a declared type; undefined when nothing is. */
function problemOf(type: string, value: unknown): string | undefined {
  const check = checks[type] ?? choiceChecks[type]
  return check === undefined ? boundsProblem(type as keyof typeof bounds, value) : check(value)
}

/** Arguments that callers know by another name than the stored operations do. */
const callerNames: Readonly<Record<string, string>> = {
  class: 'failureClass',
  correlation: 'correlationId',
  created_from: 'createdAfterMs',
  created_to: 'createdBeforeMs',
  deadline_at: 'deadlineAtMs',
  not_before: 'startAtMs',
  note: 'message',
  share: 'fairnessKey',
  slots: 'concurrency',
  starts: 'rateCount',
  result: 'payload',
  sleep_ms: 'maxWaitMs',
  why: 'reason',
  'lease.revoke lease_id': 'expectedLeaseId',
}

function callerName(operation: OperationName, argument: string): string {
  const known = callerNames[`${operation} ${argument}`] ?? callerNames[argument]
  return known ?? argument.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** Two kinds of wrong arguments have codes of their own. */
function codeOf(type: string, value: unknown): ErrorCode {
  if (type === 'capabilities') return 'invalid_capabilities'
  const isLarge = type === 'signal_payload' && value instanceof Uint8Array
  return isLarge ? 'payload_too_large' : 'invalid_input'
}

/** Throws `invalid_input` (or a code of its own) for the first argument that does not fit. */
export function checkArguments(name: OperationName, args: Readonly<Record<string, unknown>>): void {
  checkPlanned(name, operationPlans[name].args, args)
}

/** Throws `invalid_input` unless the frame can be appended, as far as the frame alone tells. */
export function checkFrame({ type, payload, correlationId, mode = 'durable' }: Frame): void {
  const args = { type, payload, correlation: correlationId }
  const plans = operationPlans['stream.append'].args.filter(({ name }) => name in args)
  checkPlanned('stream.append', plans, args)
  checkMode(mode)
}

const modesOffered: readonly FrameMode[] = [...frameModes, 'summary']

/** Throws `invalid_input` unless frames can be appended in that mode. */
export function checkMode(mode: FrameMode): void {
  const why = oneOf(modesOffered)(mode)
  if (why === undefined) return
  throw new EngineError('invalid_input', `mode ${why}`, { details: { argument: 'mode', why } })
}

function checkPlanned(
  name: OperationName,
  plans: readonly FieldPlan[],
  args: Readonly<Record<string, unknown>>,
): void {
  for (const { name: argument, type, optional } of plans) {
    const value = args[argument]
    if (value === undefined && optional) continue
    const why = problemOf(type, value)
    if (why === undefined) continue
    const given = callerName(name, argument)
    throw new EngineError(codeOf(type, value), `${given} ${why}`, {
      details: { operation: name, argument: given, why },
    })
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
