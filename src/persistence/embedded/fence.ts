// The check that a caller still owns the execution; the twin of lua/lib/fence.lua.
import { invariant } from '../../errors.ts'
import type { Refusal } from '../contract.ts'
import { type CallContext, refuse } from './call-context.ts'
import { loadDue } from './due.ts'
import type { ExecutionFields } from './execution-fields.ts'
import type { Execution } from './record.ts'

/** What the holder of a lease shows. */
export interface Fence {
  readonly id: string
  readonly attempt: number
  readonly lease_id: string
  readonly epoch: number
}

type Checked =
  | { readonly x: Execution }
  /** Refused; `settled` says what this very lease was given back for. */
  | { readonly refusal: Refusal; readonly settled: string | undefined }

type Fields = Readonly<ExecutionFields>

/** Tells a refused caller where the execution is now, and what was said when it was cancelled. */
export function notActive({ f, stored: { ending } }: Execution): Refusal {
  const isCancelled = f.state === 'terminal.cancelled' && ending !== undefined
  return refuse('execution_not_active', {
    state: f.state,
    epoch: String(f.epoch ?? 0),
    attempt: String(f.attempt ?? ''),
    reason: f.reason ?? '',
    ...(isCancelled ? { message: Buffer.from(ending).toString() } : {}),
  })
}

export function staleLease(f: Fields): Refusal {
  return refuse('stale_lease', { epoch: String(f.epoch), attempt: String(f.attempt) })
}

const refused = (refusal: Refusal, settled?: string): Checked => ({ refusal, settled })

/** Loads the execution for the holder of its lease. */
export function checkFence(call: CallContext, fence: Fence): Checked {
  const x = loadDue(call, fence.id)
  if (x === undefined) return refused(refuse('execution_not_found'))
  const { f } = x
  const own =
    f.lease_id === fence.lease_id && f.epoch === fence.epoch && f.attempt === fence.attempt
  if (!f.state.startsWith('leased.')) return refused(notActive(x), own ? f.settled : undefined)
  if (!own) return refused(staleLease(f))
  if (f.state === 'leased.revoked') return refused(refuse('lease_revoked'))
  if (f.state === 'leased.expired') return refused(refuse('lease_expired'))
  return { x }
}

/**
 * Like `checkFence`, for the operations that give the lease back: the same call again is recognised
 * by its settlement and answered by `replay`.
 */
export function checkSettle<Replayed>(
  call: CallContext,
  operation: string,
  fence: Fence & { readonly digest: string },
  replay: (rest: string) => Replayed,
): { readonly x: Execution } | { readonly answer: Replayed | Refusal } {
  const checked = checkFence(call, fence)
  if ('x' in checked) return checked
  if (checked.settled === undefined) return { answer: checked.refusal }
  const match = /^(\S+) (\S+) ?(.*)$/.exec(checked.settled)
  invariant(match !== null, `"${checked.settled}" is not a settlement`)
  const [, by = '', digest, rest = ''] = match
  if (by === operation && digest === fence.digest) return { answer: replay(rest) }
  return { answer: refuse('already_settled', { operation: by, outcome: rest }) }
}

/** Records what this lease was given back for, so that the same call can be answered again. */
export function settle(x: Execution, operation: string, digest: string, rest?: string): void {
  x.f.settled = `${operation} ${digest}${rest === undefined ? '' : ` ${rest}`}`
}
