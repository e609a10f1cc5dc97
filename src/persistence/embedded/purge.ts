// Removes everything that is stored about one ended execution; the twin of lua/lib/purge.lua.
import type { Keyspace } from './keyspace.ts'
import type { StoredExecution } from './record.ts'
import { leaveIndexes } from './transition.ts'

export function purge(keyspace: Keyspace, stored: StoredExecution): void {
  const { id, fields } = stored
  leaveIndexes(keyspace, id, fields)
  if (fields.key !== undefined) keyspace.keyed.delete(fields.key)
  keyspace.remove(stored)
}
