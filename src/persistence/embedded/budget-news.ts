// What partitions have to hear of budgets that are used up; see lua/lib/budgets.lua.
import type { NewsRow } from '../generated/operations.ts'
import type { Budget } from './budgets.ts'
import type { Keyspace } from './keyspace.ts'

/** What the budget does at its limit, once that is reached: attached work has to know. */
function markOf(b: Budget): string | undefined {
  const action = b.f.get('on_hard')
  if (action === 'warn') return undefined
  for (const [name, limit] of b.f) {
    if (name.startsWith('h:') && b.count(`u:${name.slice(2)}`) >= Number(limit)) return action
  }
  return undefined
}

/**
 * Has every partition told that has attached work. Versions follow the time, so that those of a
 * budget that is made anew are greater.
 */
export function tell(keyspace: Keyspace, b: Budget, mark: string | undefined, nowMs: number) {
  b.set('mark', mark)
  b.set('version', Math.max(b.count('version') + 1, nowMs * 1000))
  if (keyspace.told.has(b.id)) b.set('untold', nowMs)
}

/** Tells what changed by what is about to be committed. */
export function tellChange(keyspace: Keyspace, b: Budget, nowMs: number): void {
  const mark = markOf(b)
  if (mark !== b.f.get('mark')) tell(keyspace, b, mark, nowMs)
}

/** What partitions have yet to hear of budgets. */
export function newsOf({ untold, told, budgets }: Keyspace, count: number): NewsRow[] {
  const rows: NewsRow[] = []
  for (const { member: budget } of untold.head(count + 1)) {
    const version = budgets.get(budget, 'version')
    const action = budgets.get(budget, 'mark')
    const behind = [...told.fields(budget)].filter(([, heard]) => heard !== version)
    const partitions = behind.map(([partition]) => Number(partition)).sort((a, b) => a - b)
    for (const partition of partitions) {
      if (rows.length === count) return rows
      rows.push({ budget, version: Number(version), action, partition })
    }
  }
  return rows
}
