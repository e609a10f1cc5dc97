// Whether a failed attempt is tried again and when; the twin of lua/lib/retry.lua.
import { invariant } from '../../errors.ts'
import type { FailureClass } from '../../limits.ts'
import { backoffMs, parseRetryPolicy } from '../retry-policy.ts'
import type { CallContext } from './call-context.ts'
import { barsRetry } from './flow.ts'
import type { Execution } from './record.ts'

/** When to try again after a failure of this class, or undefined when it is final. */
export function retryAtMs(
  call: CallContext,
  x: Execution,
  failureClass: FailureClass,
  randomPpm: number,
): number | undefined {
  const { retry, retries = 0, deadline_at: deadlineAt } = x.f
  if (retry === undefined || barsRetry(call, x)) return undefined
  const policy = parseRetryPolicy(retry)
  invariant(policy !== undefined, `"${retry}" is not a retry policy`)
  if (retries + 1 >= policy.attempts || !policy.classes.includes(failureClass)) return undefined
  const atMs = call.nowMs + backoffMs(policy, retries, randomPpm)
  return deadlineAt !== undefined && atMs >= deadlineAt ? undefined : atMs
}
