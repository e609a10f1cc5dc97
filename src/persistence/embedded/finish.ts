// The end of an execution, shared by every way of ending; the twin of lua/lib/finish.lua.
import type { CallContext } from './call-context.ts'
import type { Execution } from './record.ts'
import { closeReason, closeStream } from './stream.ts'
import { closeSuspension, leaveSuspension, openSuspension } from './suspension.ts'
import { commit } from './transition.ts'

/**
 * Clears what only unfinished work has, after the lifecycle has accepted the ending. `reason` is a
 * short word; `ending` holds the result or the failure as bytes, undefined when there is none.
 */
export function finish(
  call: CallContext,
  x: Execution,
  reason: string | undefined,
  ending: Uint8Array | undefined,
): void {
  const { f } = x
  const { keyspace } = call
  f.attempt_left_ms = undefined
  f.block_reason = undefined
  f.deps = undefined
  f.grant_id = undefined
  f.grant_until = undefined
  f.grant_worker = undefined
  f.not_before = undefined
  f.parked = undefined
  f.replaying = undefined
  f.withheld = undefined
  closeStream(call, x, closeReason(reason))
  // An earlier attempt's failure class is not why this execution ended.
  if (reason !== 'failed') f.class = undefined
  if (f.suspension !== undefined) {
    closeSuspension(call, x, openSuspension(x), reason === 'deadline' ? 'expired' : 'cancelled')
    leaveSuspension(x)
  }
  f.ended_at = call.nowMs
  f.reason = reason
  if (ending !== undefined) keyspace.storeEnding(x.stored, ending)
  // An earlier attempt's failure must not pass for how the execution ended.
  else if (f.retries !== undefined) keyspace.storeEnding(x.stored, undefined)
  if (f.watched !== undefined) {
    call.wake.ended(x.id)
    f.watched = undefined
  }
  commit(call, x)
}
