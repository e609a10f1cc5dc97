// Reads stored budgets and reports of usage back as typed values.
import { EngineError } from '../errors.ts'
import { formatLimits, parseResult, storedAmounts } from './amounts.ts'
import type {
  AttemptUsage,
  BudgetStatus,
  DimensionLimits,
  DimensionStatus,
  HardLimitAction,
  UsageAmounts,
  UsageDimensions,
  UsageResult,
} from './backend-budget.ts'

function corrupt(id: string, what: string): never {
  throw new EngineError('corruption', `budget ${id}: ${what}`, { details: { budgetId: id } })
}

type Fields = Readonly<Record<string, string>>

function reader(id: string, fields: Fields) {
  const optional = (name: string): number | undefined => {
    const text = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (text === undefined) return undefined
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    return Number.isSafeInteger(value) ? value : corrupt(id, `${name}: not a whole number`)
  }
  return { optional, number: (name: string) => optional(name) ?? corrupt(id, `${name}: missing`) }
}

function readDimension(
  read: (name: string) => number | undefined,
  dimension: string,
): DimensionStatus {
  const [hard, soft] = [read(`h:${dimension}`), read(`s:${dimension}`)]
  const [used, reserved] = [read(`u:${dimension}`) ?? 0, read(`r:${dimension}`) ?? 0]
  const remaining = hard === undefined ? undefined : Math.max(0, hard - used - reserved)
  return { dimension, hard, soft, used, reserved, remaining }
}

/** The public view of a stored budget. */
export function readBudget(id: string, fields: Fields): BudgetStatus {
  const { optional, number } = reader(id, fields)
  const names = Object.keys(fields).flatMap((name) => /^[hsur]:(.+)$/s.exec(name)?.[1] ?? [])
  const dimensions = [...new Set(names)].sort().map((name) => readDimension(optional, name))
  const breachedAt = optional('breached_at')
  return {
    budgetId: id,
    scope: fields.scope,
    onHardLimit: (fields.on_hard ?? corrupt(id, 'on_hard: missing')) as HardLimitAction,
    dimensions,
    exhausted: dimensions.some(({ used, hard }) => hard !== undefined && used >= hard),
    breaches: optional('breaches') ?? 0,
    softBreaches: optional('soft_breaches') ?? 0,
    lastBreach:
      breachedAt === undefined ? undefined : { dimension: fields.breached ?? '', atMs: breachedAt },
    reservations: optional('holds') ?? 0,
    generation: number('generation'),
    createdAtMs: number('created_at'),
    lastResetAtMs: optional('reset_at'),
    nextResetAtMs: optional('next_reset_at'),
    resetEveryMs: optional('reset_ms'),
  }
}

/** What a budget answered to a report. */
export function readResult(text: string): UsageResult {
  const stored = parseResult(text)
  if (stored === undefined) throw new EngineError('corruption', `"${text}" is no result`)
  if (stored.result === 'ok') return { outcome: 'ok' }
  const { result, dimension, current, limit, isCounted } = stored
  const breach = { dimension, currentUsage: current, limit }
  return result === 'soft_breach'
    ? { outcome: result, ...breach }
    : { outcome: result, ...breach, counted: isCounted }
}

export function readAmounts(amounts: ReadonlyMap<string, number>): UsageAmounts {
  return Object.fromEntries(amounts)
}

/** What the attempts of an execution used, by attempt and budget. */
export function readTotals(totals: Fields): AttemptUsage[] {
  return Object.entries(totals)
    .map(([name, text]) => {
      const [attempt, budgetId = ''] = name.split(' ')
      return { attempt: Number(attempt), budgetId, amounts: readAmounts(storedAmounts(text)) }
    })
    .sort((a, b) => a.attempt - b.attempt || (a.budgetId < b.budgetId ? -1 : 1))
}

function refuse(argument: string, why: string): never {
  throw new EngineError('invalid_input', `${argument} ${why}`, { details: { argument, why } })
}

/** As they are stored; a value that is no number does not fit there and is refused. */
export function writtenAmounts(amounts: UsageAmounts | undefined): string {
  if (amounts === undefined) return ''
  if (typeof amounts !== 'object' || amounts === null || Array.isArray(amounts)) {
    refuse('amounts', 'are no numbers by dimension')
  }
  return Object.entries(amounts)
    .filter(([, amount]) => amount !== undefined)
    .map(([name, amount]) => `${name} ${amount}`)
    .join(',')
}

/** All dimensions of a report as they are stored. */
export function reportedAmounts(dimensions: UsageDimensions): string {
  const { inputTokens, outputTokens, wallMs, custom } = dimensions
  const own = new Map<string, number | undefined>([
    ['input_tokens', inputTokens],
    ['output_tokens', outputTokens],
    ['wall_ms', wallMs],
  ])
  const parts = [...own].flatMap(([name, amount]) =>
    amount === undefined ? [] : [`${name} ${amount}`],
  )
  return [...parts, writtenAmounts(custom)].filter((part) => part !== '').join(',')
}

/** Limits as they are stored. */
export function writtenLimits(
  dimensions: Readonly<Record<string, DimensionLimits>> | undefined,
): string {
  if (dimensions === undefined) return ''
  if (typeof dimensions !== 'object' || dimensions === null || Array.isArray(dimensions)) {
    refuse('dimensions', 'are no limits by dimension')
  }
  const entries = Object.entries(dimensions)
  for (const [name, limits] of entries) {
    if (typeof limits !== 'object' || limits === null) refuse(`dimensions.${name}`, 'has no limits')
  }
  return formatLimits(entries.map(([name, { hard, soft }]) => ({ name, hard, soft })))
}
