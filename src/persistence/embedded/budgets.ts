// Budgets: limits, use, reservations, and what is due with them; the twin of lua/lib/budgets.lua.
import { bounds, counts } from '../../limits.ts'
import { type Amounts, formatAmounts, type StoredLimit, storedAmounts } from '../amounts.ts'
import type { Refusal } from '../contract.ts'
import { tell, tellChange } from './budget-news.ts'
import { type CallContext, refuse } from './call-context.ts'
import type { Keyspace } from './keyspace.ts'
import { turnLedger } from './ledger-parts.ts'
import type { SortedSet } from './sorted-set.ts'

type Fields = ReadonlyMap<string, string>

/** A budget in the hands of an operation; nothing is stored before it is committed. */
export class Budget {
  readonly id: string
  readonly f: Map<string, string>
  readonly changed = new Set<string>()

  constructor(id: string, fields: Fields = new Map()) {
    this.id = id
    this.f = new Map(fields)
  }

  number(name: string): number | undefined {
    const text = this.f.get(name)
    return text === undefined ? undefined : Number(text)
  }

  /** The number in a field, 0 when there is none. */
  count(name: string): number {
    return this.number(name) ?? 0
  }

  set(name: string, value: string | number | undefined): void {
    if (value === undefined) this.f.delete(name)
    else this.f.set(name, String(value))
    this.changed.add(name)
  }
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a
}

/** When something happens to the budget by itself. */
function budgetTimeMs(fields: Fields): number | undefined {
  const at = (name: string) => {
    const text = fields.get(name)
    return text === undefined ? undefined : Number(text)
  }
  return earliest(earliest(at('next_reset_at'), at('hold_at')), at('ledger_turn_at'))
}

function moveRow(index: SortedSet, id: string, from?: number, to?: number): void {
  if (from === to) return
  if (from !== undefined) index.remove(id, from)
  if (to !== undefined) index.add(id, to)
}

function untoldMs(fields: Fields): number | undefined {
  const text = fields.get('untold')
  return text === undefined ? undefined : Number(text)
}

/** Moves the budget's rows from where its stored fields put them. */
function moveRows(keyspace: Keyspace, id: string, from: Fields, to: Fields): void {
  moveRow(keyspace.budgetTimes, id, budgetTimeMs(from), budgetTimeMs(to))
  moveRow(keyspace.untold, id, untoldMs(from), untoldMs(to))
}

const nothing: Fields = new Map()

/** Writes what is changed, and moves the budget's rows. */
function store(keyspace: Keyspace, b: Budget): void {
  const { budgets } = keyspace
  moveRows(keyspace, b.id, budgets.fields(b.id), b.f)
  for (const name of b.changed) budgets.set(b.id, name, b.f.get(name))
  b.changed.clear()
}

/** Writes the budget and the time at which something happens to it by itself. */
export function commitBudget({ keyspace, nowMs }: CallContext, b: Budget): void {
  tellChange(keyspace, b, nowMs)
  b.set('updated_at', nowMs)
  store(keyspace, b)
}

/** Forgets a budget. What partitions have to hear of it stays until they have. */
export function removeStored({ keyspace, nowMs }: CallContext, b: Budget): void {
  const { budgets, ledgers, holds, told } = keyspace
  for (const hashes of [...ledgers, holds]) hashes.drop(b.id)
  keyspace.budgetIds.remove(b.id, 0)
  if (b.f.has('mark')) tell(keyspace, b, undefined, nowMs)
  const [version, untold] = [b.f.get('version'), b.f.get('untold')]
  moveRows(keyspace, b.id, budgets.fields(b.id), nothing)
  budgets.drop(b.id)
  if (untold === undefined) told.drop(b.id)
  else {
    const left = new Budget(b.id)
    left.set('version', version)
    left.set('untold', untold)
    left.set('removed', 1)
    store(keyspace, left)
  }
}

/** Remembers that a partition heard of that version; once all have heard of the newest, all is. */
export function noteTold(call: CallContext, id: string, partition: number, version: number): void {
  const { keyspace, nowMs } = call
  const { budgets, told } = keyspace
  const b = storedBudget(keyspace, id)
  const newest = b?.f.get('version')
  if (b !== undefined && b.count('version') < version) {
    b.set('version', version + 1)
    b.set('untold', b.f.get('untold') ?? nowMs)
    store(keyspace, b)
    return
  }
  if (b === undefined || Number(newest) !== version) return
  if (told.get(id, String(partition)) !== undefined) told.set(id, String(partition), newest)
  if ([...told.fields(id).values()].some((heard) => heard !== newest)) return
  b.set('untold', undefined)
  store(keyspace, b)
  if (!b.f.has('removed')) return
  budgets.drop(id)
  told.drop(id)
}

/** Enters a stored budget into the listing and the times. */
export function enterBudget(keyspace: Keyspace, id: string, fields: Fields): void {
  if (!fields.has('removed')) keyspace.budgetIds.add(id, 0)
  moveRows(keyspace, id, nothing, fields)
}

const usedNames = ({ f }: Budget) => [...f.keys()].filter((name) => name.startsWith('u:'))

/** Begins a new generation: nothing is used, and nothing was breached. */
export function resetBudgetUse({ nowMs }: CallContext, b: Budget): void {
  for (const name of usedNames(b)) b.set(name, undefined)
  for (const name of ['breached', 'breached_at', 'breaches', 'soft_breaches']) {
    b.set(name, undefined)
  }
  b.set('generation', b.count('generation') + 1)
  b.set('reset_at', nowMs)
}

/** A reservation. */
export interface Hold {
  readonly execution: string
  readonly untilMs: number
  readonly held: Amounts
}

function readHold(text: string): Hold {
  const [execution = '', until, ...rest] = text.split(' ')
  return { execution, untilMs: Number(until), held: storedAmounts(rest.join(' ')) }
}

export function findHold({ holds }: Keyspace, b: Budget, reservation: string): Hold | undefined {
  const text = holds.get(b.id, reservation)
  return text === undefined ? undefined : readHold(text)
}

function changeReserved(b: Budget, held: Amounts, sign: 1 | -1): void {
  for (const [name, amount] of held) {
    const left = b.count(`r:${name}`) + sign * amount
    b.set(`r:${name}`, left > 0 ? left : undefined)
  }
}

export function addHold({ holds }: Keyspace, b: Budget, reservation: string, hold: Hold): void {
  const { execution, untilMs, held } = hold
  holds.set(b.id, reservation, `${execution} ${untilMs} ${formatAmounts(held)}`)
  changeReserved(b, held, 1)
  b.set('holds', b.count('holds') + 1)
  b.set('hold_at', earliest(b.number('hold_at'), untilMs))
}

/**
 * Lets a reservation go. The earliest end of all may be later then: looking for it can wait until
 * it has come.
 */
export function dropHold({ holds }: Keyspace, b: Budget, reservation: string, hold: Hold): void {
  holds.set(b.id, reservation, undefined)
  changeReserved(b, hold.held, -1)
  const left = b.count('holds') - 1
  b.set('holds', left > 0 ? left : undefined)
  if (left === 0) b.set('hold_at', undefined)
}

function expireHolds({ keyspace, nowMs }: CallContext, b: Budget): void {
  let nextMs: number | undefined
  for (const [reservation, text] of [...keyspace.holds.fields(b.id)]) {
    const hold = readHold(text)
    if (hold.untilMs <= nowMs) dropHold(keyspace, b, reservation, hold)
    else nextMs = earliest(nextMs, hold.untilMs)
  }
  b.set('hold_at', nextMs)
}

/** Applies what is due: a reset of its schedule, reservations and old rows whose time is over. */
function applyDue(call: CallContext, b: Budget): void {
  const { nowMs } = call
  const atMs = b.number('next_reset_at')
  const isReset = atMs !== undefined && atMs <= nowMs
  if (isReset) {
    resetBudgetUse(call, b)
    const everyMs = b.count('reset_ms')
    const missed = Math.floor((nowMs - atMs) / everyMs)
    // From the schedule, not from now: resets that come late must not make the next ones later.
    b.set('next_reset_at', atMs + (missed + 1) * everyMs)
  }
  const isOver = (b.number('hold_at') ?? nowMs + 1) <= nowMs
  if (isOver) expireHolds(call, b)
  if (turnLedger(call, b) || isReset || isOver) commitBudget(call, b)
}

/** The budget as it is stored, which may be only what others have yet to hear of it. */
export function storedBudget({ budgets }: Keyspace, id: string): Budget | undefined {
  return budgets.has(id) ? new Budget(id, budgets.fields(id)) : undefined
}

/** Loads a budget after all that is due has happened to it. */
export function loadBudget(call: CallContext, id: string): Budget | undefined {
  const b = storedBudget(call.keyspace, id)
  if (b === undefined || b.f.has('removed')) return undefined
  applyDue(call, b)
  return b
}

export const noBudget = (budget: string): Refusal => refuse('budget_not_found', { budget })

/** Why the budget cannot have these limits beside those of its other dimensions. */
export function crowded(b: Budget, limits: readonly StoredLimit[]): Refusal | undefined {
  const names = [...b.f.keys()].filter((name) => name.startsWith('h:') || name.startsWith('s:'))
  const limited = new Set(names.map((name) => name.slice(2)))
  for (const { name, hard, soft } of limits) {
    if (hard === undefined && soft === undefined) limited.delete(name)
    else limited.add(name)
  }
  if (limited.size <= counts.budgetDimensionsMax) return undefined
  return refuse('budget_overflow', { budget: b.id, dimension: '' })
}

/** Sets the limits of the named dimensions; those of others stay. */
export function setLimits(b: Budget, limits: readonly StoredLimit[]): void {
  for (const { name, hard, soft } of limits) {
    b.set(`h:${name}`, hard)
    b.set(`s:${name}`, soft)
  }
}

/** Why the budget cannot count these amounts at all, whatever its limits. */
export function overflow(b: Budget, given: Amounts): Refusal | undefined {
  let dimensions = usedNames(b).length
  for (const [name, amount] of given) {
    if (amount > 0 && !b.f.has(`u:${name}`)) dimensions += 1
    if (b.count(`u:${name}`) + b.count(`r:${name}`) + amount > bounds.amount.max) {
      return refuse('budget_overflow', { budget: b.id, dimension: name })
    }
  }
  if (dimensions <= counts.budgetDimensionsMax) return undefined
  return refuse('budget_overflow', { budget: b.id, dimension: '' })
}

/** A limit that was met, or would be. */
export interface Breach {
  readonly dimension: string
  readonly current: number
  readonly limit: number
}

/** The first hard limit that the amounts would pass, beside what others reserved. */
export function beyond(b: Budget, given: Amounts, own: Amounts): Breach | undefined {
  for (const [dimension, amount] of given) {
    const limit = b.number(`h:${dimension}`)
    const current = b.count(`u:${dimension}`)
    const others = b.count(`r:${dimension}`) - (own.get(dimension) ?? 0)
    if (limit !== undefined && current + others + amount > limit) {
      return { dimension, current, limit }
    }
  }
  return undefined
}

function passed(b: Budget, given: Amounts, kind: 'h:' | 's:'): Breach | undefined {
  for (const dimension of given.keys()) {
    const limit = b.number(kind + dimension)
    const current = b.count(`u:${dimension}`)
    if (limit !== undefined && current > limit) return { dimension, current, limit }
  }
  return undefined
}

function noteBreach({ nowMs }: CallContext, b: Budget, { dimension }: Breach): void {
  b.set('breaches', b.count('breaches') + 1)
  b.set('breached', dimension)
  b.set('breached_at', nowMs)
}

const written = ({ dimension, current, limit }: Breach) => `${dimension} ${current} ${limit}`

/** Counts amounts, or nothing at all where the limits are to be kept; tells what came of it. */
export function countAmounts(
  call: CallContext,
  b: Budget,
  given: Amounts,
  mode: string,
  own: Amounts,
): string {
  const refused = mode === 'enforce' ? beyond(b, given, own) : undefined
  if (refused !== undefined) {
    noteBreach(call, b, refused)
    return `hard_breach ${written(refused)} 0`
  }
  for (const [name, amount] of given) {
    if (amount > 0) b.set(`u:${name}`, b.count(`u:${name}`) + amount)
  }
  const hard = passed(b, given, 'h:')
  if (hard !== undefined) {
    noteBreach(call, b, hard)
    return `hard_breach ${written(hard)} 1`
  }
  const soft = passed(b, given, 's:')
  if (soft === undefined) return 'ok'
  b.set('soft_breaches', b.count('soft_breaches') + 1)
  return `soft_breach ${written(soft)}`
}

/** Applies what is due to at most `count` budgets. */
export function promoteBudgets(call: CallContext, count: number): void {
  const rows = call.keyspace.budgetTimes.upTo(call.nowMs, count)
  for (const { member } of rows) loadBudget(call, member)
}
