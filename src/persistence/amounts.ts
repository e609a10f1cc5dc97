// Amounts by dimension as they are stored and sent, "name amount,name amount"; see lua/lib/amounts.
import { bounds, counts } from '../limits.ts'
import { wordProblem } from './word.ts'

/** Dimension → amount, in the order in which dimensions came first. */
export type Amounts = Map<string, number>

const amountMax = bounds.amount.max

function readWhole(digits: string): number | undefined {
  if (!/^\d{1,16}$/.test(digits)) return undefined
  const value = Number(digits)
  return value <= amountMax ? value : undefined
}

/** Adds to a dimension; a new one comes after all others. */
export function addAmount(amounts: Amounts, name: string, amount: number): void {
  amounts.set(name, (amounts.get(name) ?? 0) + amount)
}

/** Reads what was written; a dimension that comes twice counts as the sum. */
function parseAmounts(text: string): Amounts | undefined {
  const amounts: Amounts = new Map()
  if (text === '') return amounts
  for (const item of text.split(',')) {
    const [name = '', digits = '', ...more] = item.split(' ')
    const amount = readWhole(digits)
    if (more.length > 0 || wordProblem(name) !== undefined || amount === undefined) return undefined
    addAmount(amounts, name, amount)
    if ((amounts.get(name) ?? 0) > amountMax) return undefined
  }
  return amounts
}

/** Like `parseAmounts`, of text that was written by `formatAmounts`. */
export function storedAmounts(text: string): Amounts {
  const amounts = parseAmounts(text)
  if (amounts === undefined) throw new Error(`"${text}" are no amounts`)
  return amounts
}

export function formatAmounts(amounts: ReadonlyMap<string, number>): string {
  return [...amounts].map(([name, amount]) => `${name} ${amount}`).join(',')
}

/** What is wrong with the amounts of a report; undefined when nothing is. */
export function amountsProblem(text: string): string | undefined {
  const amounts = parseAmounts(text)
  const size = amounts?.size ?? 0
  return size > 0 && size <= counts.dimensionsPerReportMax
    ? undefined
    : `must be 1 to ${counts.dimensionsPerReportMax} dimensions with whole numbers`
}

/** The limits of one dimension; undefined where there is none. */
export interface StoredLimit {
  readonly name: string
  readonly hard: number | undefined
  readonly soft: number | undefined
}

/** Reads limits: "name hard soft,…", each of both a number or "-". */
export function parseLimits(text: string): readonly StoredLimit[] | undefined {
  if (text === '') return []
  const limits = new Map<string, StoredLimit>()
  for (const item of text.split(',')) {
    const [name = '', hardText = '', softText = '', ...more] = item.split(' ')
    const hard = hardText === '-' ? undefined : readWhole(hardText)
    const soft = softText === '-' ? undefined : readWhole(softText)
    const isRead =
      (hard !== undefined || hardText === '-') && (soft !== undefined || softText === '-')
    const isOrdered = hard === undefined || soft === undefined || soft <= hard
    const isNamed = wordProblem(name) === undefined && !limits.has(name)
    if (more.length > 0 || !isRead || !isOrdered || !isNamed) return undefined
    limits.set(name, { name, hard, soft })
  }
  return [...limits.values()]
}

export function formatLimits(limits: readonly StoredLimit[]): string {
  return limits.map(({ name, hard, soft }) => `${name} ${hard ?? '-'} ${soft ?? '-'}`).join(',')
}

/** What is wrong with the limits of a budget; undefined when nothing is. */
export function limitsProblem(text: string): string | undefined {
  const limits = parseLimits(text)
  return limits !== undefined && limits.length <= counts.budgetDimensionsMax
    ? undefined
    : `must be at most ${counts.budgetDimensionsMax} dimensions with limits, none soft over hard`
}

/** What came of a report: a limit may have been met. */
export type StoredResult =
  | { readonly result: 'ok' }
  | {
      readonly result: 'soft_breach' | 'hard_breach'
      readonly dimension: string
      readonly current: number
      readonly limit: number
      readonly isCounted: boolean
    }

const breachPattern = /^(soft_breach|hard_breach) (\S+) (\d+) (\d+)(?: ([01]))?$/

/** Reads what a budget answered to a report; undefined for anything else. */
export function parseResult(text: string): StoredResult | undefined {
  if (text === 'ok') return { result: 'ok' }
  const match = breachPattern.exec(text)
  if (match === null) return undefined
  const [, result = '', dimension = '', currentText = '', limitText = '', counted] = match
  const [current, limit] = [readWhole(currentText), readWhole(limitText)]
  const isShaped = (result === 'hard_breach') === (counted !== undefined)
  if (!isShaped || current === undefined || limit === undefined) return undefined
  if (wordProblem(dimension) !== undefined) return undefined
  return {
    result: result as 'soft_breach' | 'hard_breach',
    dimension,
    current,
    limit,
    isCounted: counted !== '0',
  }
}

/** Whether the amounts of a report with this result were counted. */
export function isCounted(result: string): boolean {
  return !/^hard_breach .* 0$/.test(result)
}
