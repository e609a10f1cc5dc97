// Leaving a suspension; the twin of lua/lib/resume.lua.
import { invariant } from '../../errors.ts'
import type { Fact } from '../../machines/facts.ts'
import type { CallContext } from './call-context.ts'
import { finish } from './finish.ts'
import { gateFacts } from './gates.ts'
import type { Execution } from './record.ts'
import { appendSignal, countSignals } from './signals.ts'
import {
  closeSuspension,
  leaveSuspension,
  openSuspension,
  type Suspension,
  updateSuspension,
} from './suspension.ts'
import { applyEvent, commit } from './transition.ts'

/**
 * Places the execution where its gates allow; the worker's own wish for a delay holds for every
 * way of resuming, unless an operator says otherwise.
 */
function place(call: CallContext, x: Execution, event: 'resume' | 'lapse', delayMs: number): void {
  if (delayMs > 0) x.f.not_before = call.nowMs + delayMs
  leaveSuspension(x)
  applyEvent(x, event, gateFacts(call, x))
  commit(call, x)
}

const wishedDelay = ({ f }: Suspension) => Number(f.get('delay_ms') ?? 0)

/** Resumes because the condition is met; `closer` is the position of the last signal. */
export function resumeBySignal(
  call: CallContext,
  x: Execution,
  s: Suspension,
  closer: number,
): void {
  closeSuspension(call, x, s, 'resumed', closer)
  place(call, x, 'resume', wishedDelay(s))
}

export function resumeByOperator(
  call: CallContext,
  x: Execution,
  s: Suspension,
  delayMs: number | undefined,
): void {
  closeSuspension(call, x, s, 'operator_resume')
  x.by = 'operator'
  place(call, x, 'resume', delayMs ?? wishedDelay(s))
}

/** The signal that tells a worker that its suspension ran out of time. */
function appendTimeout(call: CallContext, x: Execution, s: Suspension): number {
  const position = countSignals(x.stored) + 1
  const signal = {
    position,
    // One per suspension: its id cannot be that of a sender's signal.
    id: `timeout:${s.f.get('id')}`,
    waitpoint: s.ids[0] as string,
    name: 'timeout',
    category: 'timeout',
    source: 'engine',
    encoding: 'binary',
    accepted_at: call.nowMs,
    created_at: undefined,
    effect: 'resume_condition_satisfied',
    digest: ',',
    identity: '',
    correlation: '',
    key: '',
  }
  appendSignal(call, x, signal, undefined)
  return position
}

type Behave = (call: CallContext, x: Execution, s: Suspension) => void

const stop =
  (fact: Fact, how: string): Behave =>
  (call, x, s) => {
    closeSuspension(call, x, s, how)
    leaveSuspension(x)
    applyEvent(x, 'lapse', new Set([fact]))
    finish(call, x, 'suspension_timeout', undefined)
  }

const goOn =
  (withSignal: boolean): Behave =>
  (call, x, s) => {
    const closer = withSignal ? appendTimeout(call, x, s) : undefined
    closeSuspension(call, x, s, 'timed_out_auto_resume', closer)
    place(call, x, 'lapse', wishedDelay(s))
  }

/** From now on only an operator can resume it. */
const escalate: Behave = (call, x, s) => {
  const fields = {
    condition: 'operator',
    reason: 'waiting_for_operator_review',
    escalated_at: call.nowMs,
  }
  updateSuspension(call, x, s, fields, ['timeout_at'])
  x.f.wait_until = undefined
  applyEvent(x, 'lapse', new Set(['escalatesWhenLate'] as const))
  commit(call, x)
}

const behaviours: Readonly<Record<string, Behave>> = {
  fail: stop('failsWhenLate', 'timed_out_fail'),
  cancel: stop('cancelsWhenLate', 'timed_out_cancel'),
  expire: stop('expiresWhenLate', 'timed_out_expire'),
  auto_resume: goOn(false),
  auto_resume_with_signal: goOn(true),
  escalate,
}

/** Applies what was asked for when the suspension's time is over. */
export function lapse(call: CallContext, x: Execution): void {
  const s = openSuspension(x)
  const behave = behaviours[s.f.get('behaviour') ?? '']
  invariant(behave !== undefined, `${x.id} does not know what to do when its time is over`)
  behave(call, x, s)
}
