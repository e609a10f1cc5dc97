// Why an attempt lost its lease, as the reason of its signal: who took it away, and what was said.
import { EngineError, type ErrorCode } from '../errors.ts'
import type { ClaimedExecution, LostLease } from '../persistence/backend.ts'

type Cause = LostLease['event']

interface Loss {
  readonly code: ErrorCode
  readonly what: string
}

const timedOut: Loss = { code: 'attempt_timed_out', what: 'the attempt took longer than it may' }

/** What each event that takes a lease away means for who held it. */
const losses: Readonly<Partial<Record<Cause, Loss>>> = {
  cancelExecution: { code: 'execution_cancelled', what: 'it was cancelled' },
  expire: { code: 'execution_expired', what: 'its deadline passed' },
  timeOut: timedOut,
  loseLease: { code: 'lease_expired', what: 'its lease ran out' },
  revokeLease: { code: 'lease_revoked', what: 'an operator took its lease away' },
  skip: { code: 'execution_skipped', what: 'nobody needs it any more' },
}

/** Who ended it, by the word that the execution keeps. */
const endings: Readonly<Record<string, Loss>> = {
  cancelled_by_operator: { code: 'execution_cancelled', what: 'an operator cancelled it' },
  cancelled_by_worker: { code: 'execution_cancelled', what: 'another worker cancelled it' },
  deadline: { code: 'execution_expired', what: 'its deadline passed' },
  attempt_timeout: timedOut,
  max_reclaims_exceeded: { code: 'execution_failed', what: 'its lease was lost once too often' },
}

/** Endings that somebody else decided; having completed or failed is no news of that kind. */
const codes: Readonly<Record<string, ErrorCode>> = {
  'terminal.cancelled': 'execution_cancelled',
  'terminal.expired': 'execution_expired',
  'terminal.skipped': 'execution_skipped',
}

function lossOf(
  { epoch }: ClaimedExecution,
  { state, reason, epoch: newest }: EngineError['details'],
  cause: Cause | undefined,
): Loss | undefined {
  // Once there was another lease, what is stored tells of that one.
  const isOwn = Number(newest) === epoch
  const ended = isOwn ? endings[String(reason)] : undefined
  if (ended !== undefined) return ended
  const told = cause && losses[cause]
  if (told !== undefined) return told
  if (isOwn && state === 'delayed.retry') return timedOut
  const code = codes[String(state)]
  return code && { code, what: `it has ended: ${String(reason).replaceAll('_', ' ')}` }
}

/**
 * The reason that the attempt's signal fires with: from the refusal of a call with its handle, and
 * from what was told, if anything was. A refusal that says it all by its code is the reason itself.
 */
export function lossReason(
  claimed: ClaimedExecution,
  refusal: EngineError,
  cause?: Cause,
): EngineError {
  if (refusal.code !== 'execution_not_active' && refusal.code !== 'stale_lease') return refusal
  const loss = lossOf(claimed, refusal.details, cause)
  if (loss === undefined) return refusal
  const { state, reason, message } = refusal.details
  const said = message === undefined || message === '' ? '' : `: ${message}`
  const { executionId, attempt, epoch } = claimed
  return new EngineError(loss.code, `execution ${executionId}: ${loss.what}${said}`, {
    cause: refusal,
    details: { executionId, attempt, epoch, state, reason, ...(said && { message }) },
  })
}
