// Work that budgets keep back: for each budget who waits for it; the twin of lua/lib/waiters.lua.
import type { ExecutionFields } from './execution-fields.ts'
import type { Keyspace } from './keyspace.ts'
import { SortedSet } from './sorted-set.ts'

type Fields = Readonly<ExecutionFields>

const budgetsOf = ({ budgets }: Fields) => budgets?.split(',') ?? []

/** Whichever of its budgets has room again first: the next claim looks at all of them anew. */
export function enterWaiters({ waiters }: Keyspace, id: string, f: Fields): void {
  for (const budget of budgetsOf(f)) {
    const rows = waiters.get(budget) ?? new SortedSet()
    waiters.set(budget, rows)
    rows.add(id, f.created_at)
  }
}

export function leaveWaiters({ waiters }: Keyspace, id: string, f: Fields): void {
  for (const budget of budgetsOf(f)) {
    const rows = waiters.get(budget)
    rows?.remove(id, f.created_at)
    if (rows?.size === 0) waiters.delete(budget)
  }
}
