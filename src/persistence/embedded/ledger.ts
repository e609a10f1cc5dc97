// What each execution used of a budget, and which reports were counted; see lua/lib/ledger.lua.
import { type Amounts, addAmount, formatAmounts, isCounted, storedAmounts } from '../amounts.ts'
import type { Refusal } from '../contract.ts'
import {
  type Budget,
  commitBudget,
  countAmounts,
  dropHold,
  findHold,
  type Hold,
  overflow,
} from './budgets.ts'
import type { CallContext } from './call-context.ts'
import type { Keyspace } from './keyspace.ts'

/** What is kept of one execution. */
interface Row {
  generation: number
  /** Up to which number all of its reports are settled. */
  settled: number
  /** Later reports; their results are kept beside the row. */
  seqs: number[]
  used: Amounts
}

/** A report on its way to its budget. */
export interface LoggedReport {
  readonly execution: string
  readonly seq: number
  readonly settled: number
  readonly mode: string
  readonly amounts: Amounts
  readonly reservation: string | undefined
}

function load({ ledgers }: Keyspace, b: Budget, execution: string): Row {
  const text = ledgers.get(b.id, execution)
  if (text === undefined) {
    return { generation: b.count('generation'), settled: 0, seqs: [], used: new Map() }
  }
  const [generation, settled, listed = '-', ...rest] = text.split(' ')
  return {
    generation: Number(generation),
    settled: Number(settled),
    seqs: listed === '-' ? [] : listed.split(';').map(Number),
    used: storedAmounts(rest.join(' ')),
  }
}

function save({ ledgers }: Keyspace, b: Budget, execution: string, row: Row): void {
  const { generation, settled, seqs, used } = row
  const listed = seqs.length === 0 ? '-' : seqs.join(';')
  ledgers.set(b.id, execution, `${generation} ${settled} ${listed} ${formatAmounts(used)}`)
}

/** Forgets results that nobody will ask for again. */
function forget({ ledgers }: Keyspace, b: Budget, { execution, settled }: LoggedReport, row: Row) {
  for (const seq of row.seqs) {
    if (seq <= settled) ledgers.set(b.id, `${execution} ${seq}`, undefined)
  }
  row.seqs = row.seqs.filter((seq) => seq > settled)
  row.settled = Math.max(row.settled, settled)
}

function ownHold(keyspace: Keyspace, b: Budget, report: LoggedReport): Hold | undefined {
  const { reservation, execution } = report
  const hold = reservation === undefined ? undefined : findHold(keyspace, b, reservation)
  return hold?.execution === execution ? hold : undefined
}

/** The newest number that is known of the execution's reports. */
export function newestReport(keyspace: Keyspace, b: Budget, execution: string): number {
  const { settled, seqs } = load(keyspace, b, execution)
  return Math.max(settled, seqs.at(-1) ?? 0)
}

type Applied =
  | { readonly result: string; readonly replayed: boolean }
  /** The report is settled already. */
  | undefined
  | Refusal

/** Counts a report once. */
export function applyReport(call: CallContext, b: Budget, report: LoggedReport): Applied {
  const { keyspace } = call
  const { execution, seq, amounts, reservation } = report
  const row = load(keyspace, b, execution)
  if (seq <= row.settled) return undefined
  const known = keyspace.ledgers.get(b.id, `${execution} ${seq}`)
  if (known !== undefined) return { result: known, replayed: true }
  const refusal = overflow(b, amounts)
  if (refusal !== undefined) return refusal
  const hold = ownHold(keyspace, b, report)
  const result = countAmounts(call, b, amounts, report.mode, hold?.held ?? new Map())
  const generation = b.count('generation')
  if (row.generation !== generation) {
    row.generation = generation
    row.used = new Map()
  }
  if (isCounted(result)) {
    for (const [name, amount] of amounts) if (amount > 0) addAmount(row.used, name, amount)
    if (hold !== undefined && reservation !== undefined) dropHold(keyspace, b, reservation, hold)
  }
  forget(keyspace, b, report, row)
  row.seqs.push(seq)
  save(keyspace, b, execution, row)
  keyspace.ledgers.set(b.id, `${execution} ${seq}`, result)
  commitBudget(call, b)
  return { result, replayed: false }
}

/** Takes back what the execution used in this generation; tells it as text. */
export function releaseUse(call: CallContext, b: Budget, execution: string): string {
  const { keyspace } = call
  const row = load(keyspace, b, execution)
  if (row.used.size === 0 || row.generation !== b.count('generation')) return ''
  for (const [name, amount] of row.used) {
    const left = b.count(`u:${name}`) - amount
    b.set(`u:${name}`, left > 0 ? left : undefined)
  }
  const released = formatAmounts(row.used)
  row.used = new Map()
  save(keyspace, b, execution, row)
  commitBudget(call, b)
  return released
}
