// Accepting new work: once per execution id and once per idempotency key.
import { invariant } from '../../../errors.ts'
import { bytesMax } from '../../../limits.ts'
import type { Answer, Arguments, Refusal } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { gateFacts } from '../gates.ts'
import type { Keyspace } from '../keyspace.ts'
import { newExecution } from '../record.ts'
import { applyEvent, commit } from '../transition.ts'

type Submission = Arguments<'execution.submit'>

/** The execution that this id or this idempotency key already made. */
function known(keyspace: Keyspace, args: Submission): Answer<'execution.submit'> | undefined {
  if (args.key !== undefined && args.fingerprint === undefined) {
    return refuse('invalid_input', { argument: 'fingerprint', why: 'is missing' })
  }
  const keyed = args.key === undefined ? undefined : keyspace.keyed.get(args.key)
  if (keyed !== undefined) {
    return keyed.fingerprint === args.fingerprint
      ? { outcome: 'duplicate', id: keyed.id }
      : refuse('idempotency_mismatch', { existing: keyed.id })
  }
  return keyspace.executions.has(args.id) ? { outcome: 'duplicate', id: args.id } : undefined
}

interface Times {
  readonly notBefore: number | undefined
  readonly deadlineAt: number | undefined
}

function after(nowMs: number, spanMs: number | undefined): number | undefined {
  return spanMs === undefined ? undefined : nowMs + spanMs
}

/** When the work may start and must have ended, or a refusal when that leaves no time. */
function times(args: Submission, nowMs: number): Times | Refusal {
  const startAt = args.not_before ?? after(nowMs, args.delay_ms)
  const notBefore = startAt === undefined || startAt <= nowMs ? undefined : startAt
  const deadlineAt = args.deadline_at ?? after(nowMs, args.deadline_ms)
  if (deadlineAt !== undefined && deadlineAt <= (notBefore ?? nowMs)) {
    return refuse('invalid_input', { argument: 'deadline', why: 'leaves no time to run' })
  }
  return { notBefore, deadlineAt }
}

export function submit(call: CallContext, args: Submission): Answer<'execution.submit'> {
  const { keyspace, nowMs } = call
  const existing = known(keyspace, args)
  if (existing !== undefined) return existing
  const { input } = args
  if (input === undefined) {
    return refuse('invalid_input', { argument: 'input', why: 'is missing or too large' })
  }
  const laneState = keyspace.lanes.get(args.lane)
  if (laneState === 'draining') return refuse('lane_closed', { lane: args.lane })
  const found = times(args, nowMs)
  if ('outcome' in found) return found
  // A copy: the caller may use its buffer again.
  const x = newExecution(args.id, Buffer.from(input), args.tags)
  const { f } = x
  f.lane = args.lane
  f.task = args.task
  f.priority = args.priority
  f.attempt_timeout_ms = args.attempt_timeout_ms
  f.retention_ms = args.retention_ms
  f.reclaims_max = args.reclaims_max
  f.capabilities = args.capabilities
  f.retry = args.retry
  f.key = args.key
  f.created_at = nowMs
  f.not_before = found.notBefore
  // Only the other store treats large inputs differently; what both store is the same.
  f.large = input.byteLength > bytesMax.inlineInput ? 1 : undefined
  f.deadline_at = found.deadlineAt
  applyEvent(x, 'submit', gateFacts(call, x))
  if (args.key !== undefined) {
    invariant(args.fingerprint !== undefined, 'an idempotency key came without a fingerprint')
    keyspace.keyed.set(args.key, { id: args.id, fingerprint: args.fingerprint })
  }
  keyspace.listing.add(args.id, 0)
  if (laneState === undefined) keyspace.lanes.set(args.lane, 'active')
  commit(call, x)
  return { outcome: 'submitted', id: args.id, state: f.state }
}
