// Removes everything that is stored about one ended execution; the twin of lua/lib/purge.lua.
import type { CallContext } from './call-context.ts'
import type { StoredExecution } from './record.ts'
import { leaveTags } from './tags.ts'
import { leaveIndexes } from './transition.ts'
import { purgeUsage } from './usage-log.ts'

/** `by` says who wants it gone: an operator, or the clock when its retention is over. */
export function purge(
  { keyspace, feed }: CallContext,
  stored: StoredExecution,
  by: 'operator' | 'clock',
): void {
  const { id, fields } = stored
  leaveIndexes(keyspace, id, fields)
  feed.add({ id, fields }, 'purge', undefined, by)
  leaveTags(keyspace, stored)
  if (fields.key !== undefined) keyspace.keyed.delete(fields.key)
  if (fields.spent !== undefined) purgeUsage(keyspace, id)
  keyspace.remove(stored)
}
