// The lanes that the partition knows, and opening, pausing and draining them.
import type { Answer, Arguments } from '../../contract.ts'
import type { CallContext } from '../call-context.ts'

export function listLanes({ keyspace }: CallContext): Answer<'lane.list'> {
  return { outcome: 'listed', lanes: Object.fromEntries(keyspace.lanes.entries()) }
}

export function setLaneState(
  { keyspace, wake, nowMs }: CallContext,
  args: Arguments<'lane.set_state'>,
): Answer<'lane.set_state'> {
  const from = keyspace.lanes.get(args.lane)
  if (from !== args.state) keyspace.lanes.set(args.lane, args.state)
  if (from === 'paused' && args.state !== 'paused') wake.lane(args.lane, nowMs)
  return { outcome: 'changed', from }
}
