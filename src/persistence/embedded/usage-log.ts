// What an execution reports that it used, until its budgets counted it; see lua/lib/usage.lua.
import { bounds, counts } from '../../limits.ts'
import { type Amounts, addAmount, formatAmounts, isCounted, storedAmounts } from '../amounts.ts'
import type { CallContext } from './call-context.ts'
import type { Keyspace } from './keyspace.ts'

/** A report as it is logged. */
export interface UsageEntry {
  readonly attempt: number
  readonly budget: string
  readonly mode: string
  readonly loggedAtMs: number
  readonly reservation: string | undefined
  readonly key: string
  readonly amounts: Amounts
}

interface Head {
  readonly last: number
  readonly kept: number
  /** Numbers of the reports that are not settled. */
  readonly open: readonly number[]
}

function headOf({ usage }: Keyspace, id: string): Head {
  const open = usage.get(id, 'open') ?? ''
  return {
    last: Number(usage.get(id, 'last') ?? 0),
    kept: Number(usage.get(id, 'kept') ?? 0),
    open: open === '' ? [] : open.split(';').map(Number),
  }
}

const rowOf = (id: string, seq: number) => `${id} ${seq}`

/** The report of that number as it was logged. */
export function usageEntry({ usage }: Keyspace, id: string, seq: number): UsageEntry | undefined {
  const text = usage.get(id, `e${seq}`)
  if (text === undefined) return undefined
  const [attempt, budget = '', mode = '', loggedAt, reservation, key = '', ...rest] =
    text.split(' ')
  return {
    attempt: Number(attempt),
    budget,
    mode,
    loggedAtMs: Number(loggedAt),
    reservation: reservation === '-' ? undefined : reservation,
    key,
    amounts: storedAmounts(rest.join(' ')),
  }
}

/** Up to which number all reports are settled. */
export function settledUpTo(keyspace: Keyspace, id: string): number {
  const { open, last } = headOf(keyspace, id)
  return open[0] === undefined ? last : open[0] - 1
}

/** The report with that key, and its result once it is settled. */
export function knownReport({ usage }: Keyspace, id: string, key: string) {
  const seq = usage.get(id, `k${key}`)
  return seq === undefined ? undefined : { seq: Number(seq), result: usage.get(id, `r${seq}`) }
}

function drop({ usage }: Keyspace, id: string, seq: number, { key }: UsageEntry): void {
  for (const field of [`e${seq}`, `r${seq}`, `k${key}`]) usage.set(id, field, undefined)
}

/** Whether there is no room for another report before older ones are settled. */
export function isLogFull(keyspace: Keyspace, id: string): boolean {
  return headOf(keyspace, id).open.length >= counts.unsettledUsageMax
}

/** Forgets the older half of the settled reports, so that looking for them is rare. */
function trim(keyspace: Keyspace, id: string, kept: number): number {
  const seqs = [...keyspace.usage.fields(id).keys()]
    .filter((field) => field.startsWith('r'))
    .map((field) => Number(field.slice(1)))
    .sort((a, b) => a - b)
  const gone = seqs.slice(0, Math.floor(seqs.length / 2))
  for (const seq of gone) {
    const entry = usageEntry(keyspace, id, seq)
    if (entry !== undefined) drop(keyspace, id, seq, entry)
  }
  return kept - gone.length
}

type NewReport = Omit<UsageEntry, 'loggedAtMs'>

/**
 * Keeps a report until its budget has counted it. The caller knows that there is room. Returns its
 * number, which is no smaller than the time, so that it is new even when a failover lost reports;
 * `newest` is the newest that the budget knows, where that can be asked for.
 */
export function appendReport(
  call: CallContext,
  id: string,
  report: NewReport,
  newest: number,
): number {
  const { keyspace, nowMs } = call
  const { usage } = keyspace
  const { last, kept, open } = headOf(keyspace, id)
  const seq = Math.max(last + 1, newest + 1, nowMs * 1000)
  const { attempt, budget, mode, reservation = '-', key, amounts } = report
  const words = [attempt, budget, mode, nowMs, reservation, key, formatAmounts(amounts)]
  const left = kept >= counts.usageLogMax ? trim(keyspace, id, kept) : kept
  usage.set(id, 'last', String(seq))
  usage.set(id, 'kept', String(left + 1))
  usage.set(id, `e${seq}`, words.join(' '))
  usage.set(id, `k${key}`, String(seq))
  usage.set(id, 'open', [...open, seq].join(';'))
  keyspace.unsettled.add(rowOf(id, seq), nowMs + counts.usageResendMs)
  const stored = keyspace.executions.get(id)
  if (last === 0 && stored !== undefined) {
    keyspace.storeFields(stored, { ...stored.fields, spent: 1 })
  }
  return seq
}

function addTotal({ usage }: Keyspace, id: string, entry: UsageEntry): void {
  const field = `a${entry.attempt} ${entry.budget}`
  const total = storedAmounts(usage.get(id, field) ?? '')
  for (const [name, amount] of entry.amounts) {
    if (amount === 0) continue
    addAmount(total, name, amount)
    // More than can be written exactly is told as the most that can.
    total.set(name, Math.min(total.get(name) ?? 0, bounds.amount.max))
  }
  if (total.size > 0) usage.set(id, field, formatAmounts(total))
}

/**
 * Remembers what came of a report, or forgets a report that its budget refused. Returns false when
 * it was settled before.
 */
export function settleReport(
  keyspace: Keyspace,
  id: string,
  seq: number,
  result: string | undefined,
): boolean {
  const { usage } = keyspace
  const entry = usageEntry(keyspace, id, seq)
  if (entry === undefined || usage.get(id, `r${seq}`) !== undefined) return false
  keyspace.unsettled.remove(rowOf(id, seq), entry.loggedAtMs + counts.usageResendMs)
  const { kept, open } = headOf(keyspace, id)
  if (result === undefined) {
    drop(keyspace, id, seq, entry)
    usage.set(id, 'kept', String(kept - 1))
  } else {
    usage.set(id, `r${seq}`, result)
    if (isCounted(result)) addTotal(keyspace, id, entry)
  }
  const left = open.filter((other) => other !== seq)
  usage.set(id, 'open', left.join(';'))
  if (left.length === 0 && !keyspace.executions.has(id)) usage.drop(id)
  return true
}

/** Forgets the log of a purged execution; what budgets still have to hear of stays until then. */
export function purgeUsage(keyspace: Keyspace, id: string): void {
  if (headOf(keyspace, id).open.length === 0) keyspace.usage.drop(id)
}

/** Reports whose budget should have answered by now. */
export function overdueReports({ keyspace, nowMs }: CallContext, count: number) {
  return keyspace.unsettled.upTo(nowMs, count).map(({ member }) => {
    const [id = '', seq] = member.split(' ')
    return { id, seq: Number(seq) }
  })
}

/** Enters the reports that are not settled into their index. */
export function enterUnsettled(keyspace: Keyspace, id: string): void {
  for (const seq of headOf(keyspace, id).open) {
    const entry = usageEntry(keyspace, id, seq)
    if (entry === undefined) throw new Error(`has lost report ${seq}`)
    keyspace.unsettled.add(rowOf(id, seq), entry.loggedAtMs + counts.usageResendMs)
  }
}
