// Reads stored records back as typed values, and refuses what does not parse.
import { EngineError } from '../errors.ts'
import { type ExecutionId, formatExecutionId } from '../ids.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import { leafOf } from '../machines/table.ts'
import type {
  EndedAttempt,
  ExecutionEnding,
  ExecutionSnapshot,
  FailureClass,
  FailureReason,
  SuspensionSnapshot,
} from './backend.ts'
import type { Answer } from './contract.ts'

type Found = Extract<Answer<'execution.describe'>, { outcome: 'found' }>
type Ended = Extract<Answer<'execution.watch'>, { outcome: 'ended' }>

function corrupt(id: ExecutionId, what: string): never {
  throw new EngineError('corruption', `execution ${id}: ${what}`, { details: { executionId: id } })
}

/** Typed access to one record's fields. */
function reader(id: ExecutionId, fields: Readonly<Record<string, string>>) {
  const optionalNumber = (name: string): number | undefined => {
    const text = fields[name]
    if (text === undefined) return undefined
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    return Number.isSafeInteger(value) ? value : corrupt(id, `${name}: not a whole number`)
  }
  return {
    optionalNumber,
    number: (name: string) => optionalNumber(name) ?? corrupt(id, `${name}: missing`),
    text: (name: string) => fields[name] ?? corrupt(id, `${name}: missing`),
    optionalText: (name: string) => fields[name],
  }
}

/** The public view of a stored execution. */
export function readSnapshot(partition: number, local: string, found: Found): ExecutionSnapshot {
  const id = formatExecutionId(partition, local)
  const read = reader(id, found.fields)
  const state = read.text('state') as LeafName
  const leaf = leafOf(state) ?? corrupt(id, `state: ${state} is unknown`)
  const attempt = read.optionalNumber('attempt')
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
    failureClass: read.optionalText('class') as FailureClass | undefined,
    totalAttempts: attempt === undefined ? 0 : attempt + 1,
    currentAttempt:
      attempt === undefined ? undefined : { attempt, startedAtMs: read.number('started_at') },
    currentLease:
      state === 'leased.held'
        ? {
            epoch: read.number('epoch'),
            worker: read.text('worker'),
            expiresAtMs: read.number('expires_at'),
          }
        : undefined,
    retries: read.optionalNumber('retries') ?? 0,
    reclaims: read.optionalNumber('reclaims') ?? 0,
    replays: read.optionalNumber('replays') ?? 0,
    progress: { percent: read.optionalNumber('progress'), message: found.note },
    capabilities: (read.optionalText('capabilities') ?? '').split(',').filter(Boolean),
    tags: readTags(id, found.tags),
    endedAttempts: found.attempts.map((line) => readEndedAttempt(id, line)),
    suspension: readSuspension(id, found.suspension),
  }
}

function readSuspension(
  id: ExecutionId,
  fields: Readonly<Record<string, string>>,
): SuspensionSnapshot | undefined {
  if (fields.id === undefined) return undefined
  const read = reader(id, fields)
  return {
    suspensionId: fields.id,
    reason: read.text('reason'),
    suspendedAtMs: read.number('at'),
    timeoutAtMs: read.optionalNumber('timeout_at'),
    onTimeout: read.text('behaviour'),
    pointer: read.optionalText('pointer'),
    signalCount: read.number('count'),
    waitpointIds: read.text('points').split(','),
    closedAtMs: read.optionalNumber('closed_at'),
    closeReason: read.optionalText('closed'),
  }
}

/** A stored JSON object, or `corruption`. */
function readObject(id: ExecutionId, where: string, text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return corrupt(id, `${where}: not JSON`)
  }
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  return corrupt(id, `${where}: not an object`)
}

function readTags(id: ExecutionId, tags: string | undefined): Readonly<Record<string, string>> {
  return tags === undefined ? {} : (readObject(id, 'tags', tags) as Record<string, string>)
}

const endedAttemptPattern = /^(\d+) (\w+) (\d+) (\S+) (\d+) (\d+) (\w+)$/

function readEndedAttempt(id: ExecutionId, line: string): EndedAttempt {
  const parts = endedAttemptPattern.exec(line)
  if (parts === null) return corrupt(id, 'attempts: an entry does not parse')
  const [, attempt, type, epoch, worker, startedAt, endedAt, how] = parts
  return {
    attempt: Number(attempt),
    type: type as EndedAttempt['type'],
    epoch: Number(epoch),
    worker: worker as string,
    startedAtMs: Number(startedAt),
    endedAtMs: Number(endedAt),
    how: how as string,
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
  const { message, detail } = readObject(id, 'failure', Buffer.from(ending).toString())
  if (typeof message !== 'string') return corrupt(id, 'failure: message: missing')
  return typeof detail === 'string'
    ? { message, detail: Buffer.from(detail, 'base64') }
    : { message }
}

/** How an execution ended, as a value. */
export function readEnding(id: ExecutionId, ended: Ended): ExecutionEnding {
  const reason = ended.reason ?? ''
  switch (ended.state) {
    case 'terminal.completed':
      return { outcome: 'completed', result: ended.ending }
    case 'terminal.failed':
      return {
        outcome: 'failed',
        reason,
        failureClass: ended.class as FailureClass | undefined,
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
    case 'terminal.skipped':
      return { outcome: 'skipped', reason }
    default:
      return corrupt(id, `state: ${ended.state} is no ending`)
  }
}
