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
import type { Hashes } from './hashes.ts'
import type { Keyspace } from './keyspace.ts'
import { ledgerFloor, ledgerParts, wroteLedger } from './ledger-parts.ts'

/** What is kept of one execution. */
interface Row {
  /** The part of the ledger that holds it. */
  at: Hashes | undefined
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

function load(keyspace: Keyspace, b: Budget, execution: string): Row {
  const at = ledgerParts(keyspace, b).find((part) => part.get(b.id, execution) !== undefined)
  const text = at?.get(b.id, execution)
  if (text === undefined) {
    const [generation, settled] = [b.count('generation'), ledgerFloor(b)]
    return { at, generation, settled, seqs: [], used: new Map() }
  }
  const [generation, settled, listed = '-', ...rest] = text.split(' ')
  return {
    at,
    generation: Number(generation),
    settled: Number(settled),
    seqs: listed === '-' ? [] : listed.split(';').map(Number),
    used: storedAmounts(rest.join(' ')),
  }
}

/** Brings what is kept of the execution into the current part of the ledger. */
function bring(keyspace: Keyspace, b: Budget, execution: string, { at, seqs }: Row): Hashes {
  const [current] = ledgerParts(keyspace, b)
  if (at === undefined || at === current) return current
  for (const name of [execution, ...seqs.map((seq) => `${execution} ${seq}`)]) {
    current.set(b.id, name, at.get(b.id, name))
    at.set(b.id, name, undefined)
  }
  return current
}

const newestOf = ({ settled, seqs }: Row) => Math.max(settled, seqs.at(-1) ?? 0)

/** Writes the row into the current part. */
function save(call: CallContext, b: Budget, execution: string, row: Row, current: Hashes): void {
  const { generation, settled, seqs, used } = row
  const listed = seqs.length === 0 ? '-' : seqs.join(';')
  current.set(b.id, execution, `${generation} ${settled} ${listed} ${formatAmounts(used)}`)
  wroteLedger(call, b, newestOf(row))
}

/** Forgets results that nobody will ask for again. */
function forget(current: Hashes, b: Budget, { execution, settled }: LoggedReport, row: Row) {
  for (const seq of row.seqs) {
    if (seq <= settled) current.set(b.id, `${execution} ${seq}`, undefined)
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
  return newestOf(load(keyspace, b, execution))
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
  const known = row.at?.get(b.id, `${execution} ${seq}`)
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
  const current = bring(keyspace, b, execution, row)
  forget(current, b, report, row)
  row.seqs.push(seq)
  save(call, b, execution, row, current)
  current.set(b.id, `${execution} ${seq}`, result)
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
  save(call, b, execution, row, bring(keyspace, b, execution, row))
  commitBudget(call, b)
  return released
}
