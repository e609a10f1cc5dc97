// Reads stored records back as typed values, and refuses what does not parse.
import { EngineError } from '../errors.ts'
import { type ExecutionId, formatExecutionId } from '../ids.ts'
import { bounds, failureClasses, timeoutBehaviours } from '../limits.ts'
import { leafNames } from '../machines/generated/lifecycle.ts'
import { leafOf } from '../machines/table.ts'
import type {
  EndedAttempt,
  ExecutionEnding,
  ExecutionSnapshot,
  FailureClass,
  FailureReason,
  LimitUse,
  SuspensionSnapshot,
} from './backend.ts'
import type { Answer } from './contract.ts'
import { corrupt, fieldReader } from './corruption.ts'
import { readGroup } from './flow-reading.ts'

type Found = Extract<Answer<'execution.describe'>, { outcome: 'found' }>
type Ended = Extract<Answer<'execution.watch'>, { outcome: 'ended' }>

function readFlowId(partition: number, local: string | undefined): ExecutionId | undefined {
  return local === undefined ? undefined : formatExecutionId(partition, local)
}

function readGrant(worker: string | undefined, untilMs: number | undefined) {
  return worker === undefined || untilMs === undefined ? undefined : { worker, untilMs }
}

/** The public view of a stored execution. */
export function readSnapshot(partition: number, local: string, found: Found): ExecutionSnapshot {
  const id = formatExecutionId(partition, local)
  const read = fieldReader(id, 'x', found.fields)
  const state = read.oneOf('state', leafNames)
  const leaf = leafOf(state) ?? read.refuse('state', 'unknown')
  const isHeld = state === 'leased.held'
  const attempt = isHeld ? read.number('attempt') : read.optionalNumber('attempt')
  return {
    executionId: id,
    lane: read.text('lane'),
    task: read.text('task'),
    state,
    publicState: leaf.public,
    priority: read.optionalNumber('priority') ?? 0,
    createdAtMs: read.number('created_at'),
    updatedAtMs: read.number('updated_at'),
    endedAtMs: read.optionalNumber('ended_at'),
    startsAtMs: read.optionalNumber('not_before'),
    deadlineAtMs: read.optionalNumber('deadline_at'),
    blockedBy: read.optionalText('block_reason'),
    withheldBy: read.optionalText('withheld'),
    reason: read.optionalText('reason'),
    failureClass: optionalClass(id, found.fields.class),
    totalAttempts: attempt === undefined ? 0 : attempt + 1,
    currentAttempt:
      attempt === undefined ? undefined : { attempt, startedAtMs: read.number('started_at') },
    currentLease: isHeld
      ? {
          epoch: read.number('epoch'),
          worker: read.text('worker'),
          expiresAtMs: read.number('expires_at'),
        }
      : undefined,
    retries: read.optionalNumber('retries') ?? 0,
    reclaims: read.optionalNumber('reclaims') ?? 0,
    replays: read.optionalNumber('replays') ?? 0,
    progress: { percent: readPercent(read), message: found.note },
    capabilities: (read.optionalText('capabilities') ?? '').split(',').filter(Boolean),
    fairnessKey: read.optionalText('share'),
    limit: readLimitUse(found.fields),
    flowId: readFlowId(partition, read.optionalText('flow')),
    gated: read.optionalText('deps') !== undefined,
    group: found.group === undefined ? undefined : readGroup(`group:${local}`, found.group),
    grant: readGrant(read.optionalText('grant_worker'), read.optionalNumber('grant_until')),
    budgets: (read.optionalText('budgets') ?? '').split(',').filter(Boolean),
    tags: readTags(id, found.tags),
    endedAttempts: found.attempts.map((line, at) => readEndedAttempt(id, line, at)),
    suspension: readSuspension(id, found.suspension),
  }
}

function readLimitUse(fields: Readonly<Record<string, string>>): LimitUse | undefined {
  const { limit, slot, waits_for: waitsFor, permit_until: permitUntil } = fields
  if (limit === undefined) return undefined
  const key = (slot ?? waitsFor)?.split('|')[1]
  if (waitsFor !== undefined) return { name: limit, key, state: 'waiting' }
  if (slot === undefined) return { name: limit, key, state: 'none' }
  return { name: limit, key, state: permitUntil === undefined ? 'holding' : 'admitted' }
}

function readSuspension(
  id: ExecutionId,
  fields: Readonly<Record<string, string>>,
): SuspensionSnapshot | undefined {
  if (Object.keys(fields).length === 0) return undefined
  const read = fieldReader(id, 'wait', fields)
  return {
    suspensionId: read.text('id'),
    reason: read.text('reason'),
    suspendedAtMs: read.number('at'),
    timeoutAtMs: read.optionalNumber('timeout_at'),
    onTimeout: read.oneOf('behaviour', timeoutBehaviours),
    pointer: fields.pointer,
    signalCount: read.number('count'),
    waitpointIds: read.text('points').split(','),
    closedAtMs: read.optionalNumber('closed_at'),
    closeReason: read.optionalText('closed'),
  }
}

function optionalClass(id: ExecutionId, name: string | undefined): FailureClass | undefined {
  if (name === undefined) return undefined
  return fieldReader(id, 'x', { class: name }).oneOf('class', failureClasses)
}

function readPercent(read: ReturnType<typeof fieldReader>): number | undefined {
  const percent = read.optionalNumber('progress')
  const { max } = bounds.percent
  return percent === undefined || percent <= max ? percent : read.refuse('progress', `over ${max}`)
}

/** A stored JSON object, or `corruption`. */
function readObject(id: ExecutionId, kind: string, text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return corrupt(id, kind, 'record', 'not JSON')
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject
    ? (value as Record<string, unknown>)
    : corrupt(id, kind, 'record', 'not an object')
}

function readTags(id: ExecutionId, text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {}
  const tags = readObject(id, 'tags', text)
  for (const [name, value] of Object.entries(tags)) {
    if (typeof value !== 'string') corrupt(id, 'tags', name, 'not text')
  }
  return tags as Record<string, string>
}

const attemptTypes = ['initial', 'retry', 'reclaim', 'replay'] as const

const endedAttemptPattern = /^(\d+) (\w+) (\d+) (\S+) (\d+) (\d+) (\w+)$/

function readEndedAttempt(id: ExecutionId, line: string, at: number): EndedAttempt {
  const parts = endedAttemptPattern.exec(line) ?? corrupt(id, 'attempts', String(at), 'unreadable')
  const [attempt, type, epoch, worker, started_at, ended_at, how] = parts.slice(1)
  const words = { attempt, type, epoch, worker, started_at, ended_at, how }
  const read = fieldReader(id, 'attempts', words)
  return {
    attempt: read.number('attempt'),
    type: read.oneOf('type', attemptTypes),
    epoch: read.number('epoch'),
    worker: read.text('worker'),
    startedAtMs: read.number('started_at'),
    endedAtMs: read.number('ended_at'),
    how: read.text('how'),
  }
}

function checkReason(reason: FailureReason): void {
  const { message, detail } = reason
  if (typeof message !== 'string' || Buffer.byteLength(message) > 2048) {
    throw new EngineError('invalid_input', 'message must be text of at most 2048 bytes', {
      details: { argument: 'message' },
    })
  }
  if (detail !== undefined && !(detail instanceof Uint8Array && detail.byteLength <= 65_536)) {
    throw new EngineError('invalid_input', 'detail must be at most 64 KiB of bytes', {
      details: { argument: 'detail' },
    })
  }
}

/** A failure as it is stored: the message and, in base64, its detail. */
export function formatFailure(reason: FailureReason): Uint8Array {
  checkReason(reason)
  const detail = reason.detail === undefined ? undefined : Buffer.from(reason.detail)
  return Buffer.from(
    JSON.stringify({ message: reason.message, detail: detail?.toString('base64') }),
  )
}

function readFailure(id: ExecutionId, ending: Uint8Array | undefined): FailureReason | undefined {
  if (ending === undefined) return undefined
  const { message, detail } = readObject(id, 'out', Buffer.from(ending).toString())
  if (typeof message !== 'string') return corrupt(id, 'out', 'message', 'missing')
  if (detail === undefined) return { message }
  const isBytes = typeof detail === 'string' && /^[\w+/]*={0,2}$/.test(detail)
  return isBytes
    ? { message, detail: Buffer.from(detail, 'base64') }
    : corrupt(id, 'out', 'detail', 'not base64')
}

/** What a stored failure says; undefined when nothing is stored. */
export function failureMessage(
  id: ExecutionId,
  ending: Uint8Array | undefined,
): string | undefined {
  return readFailure(id, ending)?.message
}

/** How an execution ended, as a value. */
export function readEnding(id: ExecutionId, ended: Ended): ExecutionEnding {
  if (ended.state === 'terminal.completed') return { outcome: 'completed', result: ended.ending }
  if (ended.state === 'terminal.skipped') return { outcome: 'skipped', reason: ended.reason ?? '' }
  const reason = fieldReader(id, 'x', { reason: ended.reason }).text('reason')
  switch (ended.state) {
    case 'terminal.failed':
      return {
        outcome: 'failed',
        reason,
        failureClass: optionalClass(id, ended.class),
        failure: readFailure(id, ended.ending),
      }
    case 'terminal.cancelled':
      return {
        outcome: 'cancelled',
        reason,
        message: ended.ending === undefined ? '' : Buffer.from(ended.ending).toString(),
      }
    case 'terminal.expired':
      return { outcome: 'expired', reason }
    default:
      return corrupt(id, 'x', 'state', `no ending: ${ended.state}`)
  }
}
