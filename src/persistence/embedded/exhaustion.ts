// What this partition was told of budgets that are used up; the twin of lua/lib/exhaustion.lua.
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'
import { finish } from './finish.ts'
import type { Keyspace } from './keyspace.ts'
import type { Execution } from './record.ts'
import { accepts, applyEvent } from './transition.ts'
import { enterWaiters, leaveWaiters } from './waiters.ts'
import { admit, withhold } from './withhold.ts'

interface Told {
  readonly version: number
  /** What the budget does at its limit, or `-` while it has room. */
  readonly action: string
}

function toldOf({ exhausted }: Keyspace, budget: string): Told {
  const [version = 0, action = '-'] = exhausted.get(budget)?.split(' ') ?? []
  return { version: Number(version), action }
}

/** The budget that lets the work not begin, and what it does with it. */
export function exhaustionOf(keyspace: Keyspace, { budgets }: Readonly<ExecutionFields>) {
  let keeper: { readonly budget: string; readonly action: 'withhold' | 'fail' } | undefined
  for (const budget of budgets?.split(',') ?? []) {
    const { action } = toldOf(keyspace, budget)
    if (action === 'fail') return { budget, action } as const
    if (action === 'withhold') keeper ??= { budget, action }
  }
  return keeper
}

/** The budget that lets the execution have no more children. */
export function denierOfChildren(keyspace: Keyspace, { budgets }: Readonly<ExecutionFields>) {
  const named = budgets?.split(',') ?? []
  return named.find((budget) => toldOf(keyspace, budget).action === 'deny_children')
}

/**
 * Keeps work back, or fails it, instead of letting it begin; returns false when it may. Work whose
 * lease was lost is under way already.
 */
export function stopsWork(call: CallContext, x: Execution): boolean {
  if (!accepts(x, 'withhold')) return false
  const found = exhaustionOf(call.keyspace, x.f)
  if (found?.action === 'fail') {
    applyEvent(x, 'exhaust')
    finish(call, x, 'budget_exceeded', undefined)
  } else if (found?.action === 'withhold') {
    enterWaiters(call.keyspace, x.id, x.f)
    withhold(call, x, 'budget')
  }
  return found !== undefined
}

/**
 * Lets work go that waits for the budget; a sweep goes on where this ends. Returns how many there
 * were.
 */
function admitWaiters(call: CallContext, budget: string, count: number): number {
  const { keyspace } = call
  const rows = keyspace.waiters.get(budget)?.head(count) ?? []
  for (const { member } of rows) {
    const x = keyspace.load(member)
    if (x === undefined) continue
    leaveWaiters(keyspace, x.id, x.f)
    admit(call, x)
  }
  if (keyspace.waiters.has(budget)) keyspace.admitting.set(budget, '')
  else keyspace.admitting.delete(budget)
  return rows.length
}

/**
 * Takes note of what a budget says of itself. Returns the newest version that is known now, and
 * whether that was known before.
 */
export function noteBudget(
  call: CallContext,
  budget: string,
  version: number,
  action: string | undefined,
  count: number,
): { readonly version: number; readonly replayed: boolean } {
  const { keyspace } = call
  const known = toldOf(keyspace, budget).version
  if (version <= known) return { version: known, replayed: true }
  keyspace.exhausted.set(budget, `${version} ${action ?? '-'}`)
  if (action === 'withhold') keyspace.admitting.delete(budget)
  else admitWaiters(call, budget, count)
  return { version, replayed: false }
}

/** Goes on with what single calls could not do. */
export function goOnAdmitting(call: CallContext, count: number): void {
  const { admitting } = call.keyspace
  let left = count
  for (const budget of [...admitting.entries()].map(([name]) => name).sort()) {
    if (left > 0) left -= admitWaiters(call, budget, left)
  }
}
