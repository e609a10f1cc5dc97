// Forgets ended flows with everything of theirs; the twin of lua/lib/retire.lua.
import { counts } from '../../limits.ts'
import type { CallContext } from './call-context.ts'
import { loadFlow } from './flow.ts'
import { purge } from './purge.ts'

/** Removes some members, then the flow itself. */
export function removeFlow(
  call: CallContext,
  id: string,
  by: 'operator' | 'clock',
): { readonly members: number; readonly isGone: boolean } {
  const { keyspace } = call
  const members = keyspace.flows.membersOf(id)
  const found = members.after(undefined, counts.graphChunk)
  for (const member of found) {
    const stored = keyspace.executions.get(member)
    if (stored !== undefined) purge(call, stored, by)
    members.remove(member, 0)
  }
  const isGone = found.length < counts.graphChunk
  if (isGone) keyspace.flows.remove(id)
  // What is left of it cannot run again: it would wait for what is gone.
  else loadFlow(call, id)?.hash.set('retiring', 1)
  return { members: found.length, isGone }
}

/** Removes flows whose retention is over. Returns how many members went. */
export function retireDue(call: CallContext, count: number): number {
  const { keyspace, nowMs } = call
  let gone = 0
  while (gone < count) {
    const [due] = keyspace.flows.ends.upTo(nowMs, 1)
    if (due === undefined) break
    gone += Math.max(1, removeFlow(call, due.member, 'clock').members)
  }
  return gone
}
