// What the holder of a lease does with its execution: report progress, or give it back.

import { counts } from '../../../limits.ts'
import type { Fact } from '../../../machines/facts.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { checkFence, checkSettle, settle } from '../fence.ts'
import { finish } from '../finish.ts'
import { gateFacts } from '../gates.ts'
import { logAttempt } from '../lease.ts'
import { retryAtMs } from '../retry.ts'
import { closeStream } from '../stream.ts'
import { applyEvent, commit, noFacts } from '../transition.ts'

const retryLeft: ReadonlySet<Fact> = new Set(['retryLeft'] as const)

const completedBefore = () => ({ outcome: 'completed', replayed: true }) as const
const cancelledBefore = () => ({ outcome: 'cancelled', replayed: true }) as const
const delayedBefore = () => ({ outcome: 'delayed', replayed: true }) as const

export function complete(
  call: CallContext,
  args: Arguments<'execution.complete'>,
): Answer<'execution.complete'> {
  const checked = checkSettle(call, 'complete', args, completedBefore)
  if ('answer' in checked) return checked.answer
  const { x } = checked
  applyEvent(x, 'complete')
  settle(x, 'complete', args.digest)
  finish(call, x, undefined, args.result === undefined ? undefined : Buffer.from(args.result))
  return { outcome: 'completed', replayed: false }
}

export function cancel(
  call: CallContext,
  args: Arguments<'execution.cancel'>,
): Answer<'execution.cancel'> {
  const checked = checkSettle(call, 'cancel', args, cancelledBefore)
  if ('answer' in checked) return checked.answer
  const { x } = checked
  applyEvent(x, 'cancel')
  settle(x, 'cancel', args.digest)
  finish(call, x, 'cancelled_by_worker', Buffer.from(args.why))
  return { outcome: 'cancelled', replayed: false }
}

function failedBefore(rest: string): Answer<'execution.fail'> {
  const retry = /^retry (\d+)$/.exec(rest)
  return retry === null
    ? { outcome: 'failed', replayed: true }
    : { outcome: 'retry_scheduled', retry_at: Number(retry[1]), replayed: true }
}

export function fail(
  call: CallContext,
  args: Arguments<'execution.fail'>,
): Answer<'execution.fail'> {
  const checked = checkSettle(call, 'fail', args, failedBefore)
  if ('answer' in checked) return checked.answer
  const { x } = checked
  const { f } = x
  const { keyspace, nowMs } = call
  const retryAt = retryAtMs(call, x, args.class, args.random_ppm)
  applyEvent(x, 'fail', retryAt === undefined ? noFacts : retryLeft)
  if (retryAt === undefined) {
    settle(x, 'fail', args.digest, 'final')
    f.class = args.class
    finish(call, x, 'failed', Buffer.from(args.failure))
    return { outcome: 'failed', replayed: false }
  }
  settle(x, 'fail', args.digest, `retry ${retryAt}`)
  logAttempt(keyspace, x, args.class, nowMs)
  closeStream(call, x, 'attempt_failure')
  f.class = args.class
  f.retries = (f.retries ?? 0) + 1
  f.not_before = retryAt
  keyspace.storeEnding(x.stored, Buffer.from(args.failure))
  commit(call, x)
  return { outcome: 'retry_scheduled', retry_at: retryAt, replayed: false }
}

export function delay(
  call: CallContext,
  args: Arguments<'execution.delay'>,
): Answer<'execution.delay'> {
  if (args.until_ms > call.nowMs + counts.delayAheadMs) {
    return refuse('invalid_input', { argument: 'until_ms', why: 'is over a year ahead' })
  }
  const checked = checkSettle(call, 'delay', args, delayedBefore)
  if ('answer' in checked) return checked.answer
  const { x } = checked
  const { f } = x
  const attemptDeadlineAt = f.attempt_deadline_at
  f.parked = 1
  f.not_before = args.until_ms
  applyEvent(x, 'delay', gateFacts(call, x))
  settle(x, 'delay', args.digest)
  // The attempt's clock stands still while it is parked.
  if (attemptDeadlineAt !== undefined) f.attempt_left_ms = attemptDeadlineAt - call.nowMs
  commit(call, x)
  return { outcome: 'delayed', replayed: false }
}

export function progress(
  call: CallContext,
  args: Arguments<'execution.progress'>,
): Answer<'execution.progress'> {
  const checked = checkFence(call, args)
  if ('refusal' in checked) return checked.refusal
  const { x } = checked
  applyEvent(x, 'progress')
  if (args.percent !== undefined) x.f.progress = args.percent
  if (args.note !== undefined) {
    x.f.noted = 1
    call.keyspace.storeNote(x.stored, args.note)
  }
  commit(call, x)
  return { outcome: 'progressed' }
}
