// New work: what may be accepted, and how it is stored; the twin of lua/lib/submission.lua.
import { bytesMax } from '../../limits.ts'
import type { Refusal } from '../contract.ts'
import type { MemberPart } from '../generated/operations.ts'
import { type CallContext, refuse } from './call-context.ts'
import { gateFacts } from './gates.ts'
import type { Execution } from './record.ts'
import { enterTags } from './tags.ts'
import { applyEvent, commit } from './transition.ts'

/** What submissions of every kind say. */
export type WorkArguments = Omit<MemberPart, 'hold' | 'input'>

/** When the work may start and must have ended. */
export interface CheckedSubmission {
  readonly notBefore: number | undefined
  readonly deadlineAt: number | undefined
}

function after(nowMs: number, spanMs: number | undefined): number | undefined {
  return spanMs === undefined ? undefined : nowMs + spanMs
}

/** The times of new work, or a refusal when its lane is closed or they leave no time to run. */
export function checkSubmission(
  { keyspace, nowMs }: CallContext,
  args: WorkArguments,
): CheckedSubmission | Refusal {
  if (keyspace.lanes.get(args.lane) === 'draining')
    return refuse('lane_closed', { lane: args.lane })
  const startAt = args.not_before ?? after(nowMs, args.delay_ms)
  const notBefore = startAt === undefined || startAt <= nowMs ? undefined : startAt
  const deadlineAt = args.deadline_at ?? after(nowMs, args.deadline_ms)
  if (deadlineAt !== undefined && deadlineAt <= (notBefore ?? nowMs)) {
    return refuse('invalid_input', { argument: 'deadline', why: 'leaves no time to run' })
  }
  return { notBefore, deadlineAt }
}

/** Stores work that was checked; `x` may have fields of its own already. */
export function acceptSubmission(
  call: CallContext,
  x: Execution,
  args: WorkArguments,
  { notBefore, deadlineAt }: CheckedSubmission,
): void {
  const { keyspace, nowMs } = call
  const { f, stored } = x
  f.lane = args.lane
  f.task = args.task
  f.priority = args.priority
  f.attempt_timeout_ms = args.attempt_timeout_ms
  f.retention_ms = args.retention_ms
  f.reclaims_max = args.reclaims_max
  f.capabilities = args.capabilities
  f.retry = args.retry
  f.limit = args.limit
  f.share = args.share
  f.budgets = args.budgets
  f.tagged = stored.tagged === undefined ? undefined : 1
  f.created_at = nowMs
  f.not_before = notBefore
  f.deadline_at = deadlineAt
  // Only the other store treats large inputs differently; what both store is the same.
  f.large = stored.input.byteLength > bytesMax.inlineInput ? 1 : undefined
  applyEvent(x, 'submit', gateFacts(call, x))
  keyspace.listing.add(x.id, 0)
  enterTags(keyspace, stored)
  if (keyspace.lanes.get(args.lane) === undefined) keyspace.lanes.set(args.lane, 'active')
  commit(call, x)
}
