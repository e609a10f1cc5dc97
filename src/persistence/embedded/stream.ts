// What the end of an attempt does to its stream; the twin of lua/lib/stream.lua.
import { leafOf } from '../../machines/table.ts'
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'
import type { Execution } from './record.ts'

/**
 * Ends the stream of the current attempt, if it has one, in the step that ends the attempt. The
 * caller commits the execution.
 */
export function closeStream({ keyspace, wake, nowMs }: CallContext, x: Execution, reason: string) {
  const { f, id } = x
  if (f.tailed !== undefined) {
    wake.tails(id, f.tailed, nowMs)
    f.tailed = undefined
  }
  if (f.streamed !== 1 || f.attempt === undefined) return
  f.streamed = 0
  keyspace.streams.close(id, f.attempt, reason, nowMs)
}

/** What a stream says of an ending; other reasons speak for themselves. */
const closedBy: Readonly<Record<string, string>> = {
  failed: 'attempt_failure',
  cancelled_by_worker: 'attempt_cancelled',
  cancelled_by_operator: 'attempt_cancelled',
  deadline: 'expired',
}

export function closeReason(reason: string | undefined): string {
  return reason === undefined ? 'attempt_success' : (closedBy[reason] ?? reason)
}

const unfinished = new Set(['leased', 'reclaimable', 'suspended', 'waiting'])

/** Whether nothing will be appended to the stream of that attempt any more, as things stand. */
export function isOver(f: Readonly<ExecutionFields>, attempt: number): boolean {
  const current = f.attempt ?? -1
  if (f.ended_at !== undefined || attempt < current) return true
  // An interrupted attempt goes on; one that failed waits for the next.
  const index = leafOf(f.state)?.index ?? ''
  return attempt === current && f.parked === undefined && !unfinished.has(index)
}
