// Budgets: making, reading, changing and resetting them, and reservations of them.
import { counts } from '../../../limits.ts'
import { parseLimits, storedAmounts } from '../../amounts.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { newsOf } from '../budget-news.ts'
import {
  addHold,
  Budget,
  beyond,
  commitBudget,
  crowded,
  findHold,
  loadBudget,
  noBudget,
  noteTold,
  overflow,
  removeStored,
  resetBudgetUse,
  setLimits,
  storedBudget,
} from '../budgets.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { noteBudget } from '../exhaustion.ts'
import { releaseUse } from '../ledger.ts'

export function createBudget(
  call: CallContext,
  args: Arguments<'budget.create'>,
): Answer<'budget.create'> {
  const { keyspace, nowMs } = call
  // Of one that was removed others may have yet to hear.
  const b = storedBudget(keyspace, args.budget) ?? new Budget(args.budget)
  const known = b.f.get('fingerprint')
  if (known === args.fingerprint) return { outcome: 'exists' }
  if (known !== undefined) return refuse('budget_conflict', { budget: args.budget })
  b.set('removed', undefined)
  b.set('fingerprint', args.fingerprint)
  b.set('created_at', nowMs)
  b.set('generation', 1)
  b.set('on_hard', args.on_hard)
  b.set('scope', args.scope)
  if (args.reset_ms !== undefined) {
    b.set('reset_ms', args.reset_ms)
    b.set('next_reset_at', nowMs + args.reset_ms)
  }
  setLimits(b, parseLimits(args.dimensions) ?? [])
  keyspace.budgetIds.add(b.id, 0)
  commitBudget(call, b)
  return { outcome: 'created' }
}

export function describeBudget(
  call: CallContext,
  { budget }: Arguments<'budget.describe'>,
): Answer<'budget.describe'> {
  const b = loadBudget(call, budget)
  if (b === undefined) return { outcome: 'absent' }
  return { outcome: 'found', fields: Object.fromEntries(b.f) }
}

export function listBudgets(
  { keyspace }: CallContext,
  { after, count }: Arguments<'budget.list'>,
): Answer<'budget.list'> {
  return { outcome: 'listed', ...keyspace.budgetIds.page(after, count) }
}

export function changeBudget(
  call: CallContext,
  args: Arguments<'budget.change'>,
): Answer<'budget.change'> {
  const b = loadBudget(call, args.budget)
  if (b === undefined) return noBudget(args.budget)
  const limits = parseLimits(args.dimensions) ?? []
  const refusal = crowded(b, limits)
  if (refusal !== undefined) return refusal
  setLimits(b, limits)
  if (args.on_hard !== undefined) b.set('on_hard', args.on_hard)
  commitBudget(call, b)
  return { outcome: 'changed', untold: b.f.has('untold') }
}

export function resetBudget(
  call: CallContext,
  args: Arguments<'budget.reset'>,
): Answer<'budget.reset'> {
  const b = loadBudget(call, args.budget)
  if (b === undefined) return noBudget(args.budget)
  const replayed = b.f.get('reset_id') === args.reset_id
  if (!replayed) {
    resetBudgetUse(call, b)
    b.set('reset_id', args.reset_id)
    commitBudget(call, b)
  }
  return {
    outcome: 'reset',
    generation: b.count('generation'),
    next_reset_at: b.number('next_reset_at'),
    replayed,
    untold: b.f.has('untold'),
  }
}

export function removeBudget(
  call: CallContext,
  { budget }: Arguments<'budget.remove'>,
): Answer<'budget.remove'> {
  const b = loadBudget(call, budget)
  if (b === undefined) return { outcome: 'absent' }
  removeStored(call, b)
  return { outcome: 'removed', untold: b.f.has('untold') }
}

export function releaseBudget(
  call: CallContext,
  args: Arguments<'budget.release'>,
): Answer<'budget.release'> {
  const b = loadBudget(call, args.budget)
  if (b === undefined) return noBudget(args.budget)
  const amounts = releaseUse(call, b, args.execution)
  return { outcome: 'released', amounts, untold: b.f.has('untold') }
}

export function reserveBudget(
  call: CallContext,
  args: Arguments<'budget.reserve'>,
): Answer<'budget.reserve'> {
  const { keyspace, nowMs } = call
  const b = loadBudget(call, args.budget)
  if (b === undefined) return noBudget(args.budget)
  const hold = findHold(keyspace, b, args.reservation)
  if (hold !== undefined) return { outcome: 'reserved', expires_at: hold.untilMs, replayed: true }
  if (b.count('holds') >= counts.reservationsMax) {
    return refuse('reservation_limit_exceeded', { budget: b.id })
  }
  const held = storedAmounts(args.amounts)
  const refusal = overflow(b, held)
  if (refusal !== undefined) return refusal
  const breach = beyond(b, held, new Map())
  if (breach !== undefined) return { outcome: 'hard_breach', ...breach }
  const untilMs = nowMs + args.ttl_ms
  addHold(keyspace, b, args.reservation, { execution: args.execution, untilMs, held })
  commitBudget(call, b)
  return { outcome: 'reserved', expires_at: untilMs, replayed: false }
}

export function attachBudget(
  call: CallContext,
  { budget, partition }: Arguments<'budget.attach'>,
): Answer<'budget.attach'> {
  const { told } = call.keyspace
  const b = loadBudget(call, budget)
  if (b === undefined) return noBudget(budget)
  const version = b.f.get('version') ?? '0'
  if (told.get(b.id, String(partition)) === undefined) told.set(b.id, String(partition), version)
  return { outcome: 'attached', version: Number(version), action: b.f.get('mark') }
}

export function noteOfBudget(
  call: CallContext,
  { budget, version, action }: Arguments<'budget.note'>,
): Answer<'budget.note'> {
  const noted = noteBudget(call, budget, version, action, counts.admittedPerCall)
  return { outcome: 'noted', ...noted }
}

export function untoldNews(
  { keyspace }: CallContext,
  { count }: Arguments<'budget.untold'>,
): Answer<'budget.untold'> {
  return { outcome: 'listed', news: newsOf(keyspace, count) }
}

export function budgetTold(
  call: CallContext,
  { budget, partition, version }: Arguments<'budget.told'>,
): Answer<'budget.told'> {
  noteTold(call, budget, partition, version)
  return { outcome: 'told' }
}
