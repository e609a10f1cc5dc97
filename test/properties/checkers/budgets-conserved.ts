// A budget has used what was counted of its generation, no more, no less; reports are counted once.
import { counts } from '../../../src/limits.ts'
import {
  type Amounts,
  formatAmounts,
  isCounted,
  storedAmounts,
} from '../../../src/persistence/amounts.ts'
import type { Dump } from '../../support/canonical.ts'
import {
  budgetsIn,
  countedOf,
  fieldsOf,
  ledgerOf,
  loggedIn,
  namesUnder,
  scoresOf,
} from '../budgets.ts'
import type { Performed, Stored } from './performed.ts'

export function budgetsConserved(performed: Performed): string | undefined {
  const { before, after } = performed
  if (before.text === after.text || !concerns(performed)) return undefined
  for (const budget of budgetsIn(after.dump)) {
    const why = sumProblem(after.dump, budget) ?? changeProblem(performed, budget)
    if (why !== undefined) return `${budget} ${why}`
  }
  return listingProblem(after.dump) ?? newsProblem(after.dump) ?? logProblem(after.dump)
}

/** Whether anything about budgets is different now: for most calls nothing is. */
function concerns({ before, after }: Performed): boolean {
  const keys = new Set([...before.dump.keys(), ...after.dump.keys()].filter(isAboutBudgets))
  const text = ({ dump }: Stored, key: string) => JSON.stringify(dump.get(key))
  return [...keys].some((key) => text(before, key) !== text(after, key))
}

const isAboutBudgets = (key: string) =>
  /^(budget|ledger|holds|usage|unsettled|told|untold)/.test(key)

/** Without what is 0, in the order of the names. */
function written(amounts: Amounts): string {
  const entries = [...amounts].filter(([, amount]) => amount !== 0)
  return formatAmounts(new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1))))
}

function sumProblem(dump: Dump, budget: string): string | undefined {
  const { used, held } = ledgerOf(dump, budget)
  const [u, r] = [countedOf(dump, budget, 'u:'), countedOf(dump, budget, 'r:')]
  // What is known no more of single executions still counts.
  const hasForgotten = fieldsOf(dump, `budget:${budget}`).has('ledger_floor')
  const isRight = hasForgotten
    ? [...used].every(([name, amount]) => amount <= (u.get(name) ?? 0))
    : written(u) === written(used)
  if (!isRight) return `has used ${written(u)}, not ${written(used)}`
  if (written(r) !== written(held)) return `reserves ${written(r)}, not ${written(held)}`
  const count = Number(fieldsOf(dump, `budget:${budget}`).get('holds') ?? 0)
  const holds = fieldsOf(dump, `holds:${budget}`).size
  return count === holds ? undefined : `counts ${count} reservations, not ${holds}`
}

/** What the call added to the use of a budget, or took away. */
function changeOf({ call, answer }: Performed, budget: string): Amounts {
  const nothing: Amounts = new Map()
  if (!('budget' in call.args) || call.args.budget !== budget) return nothing
  if (answer.outcome === 'released' && 'amounts' in answer) {
    const entries = [...storedAmounts(answer.amounts)]
    return new Map(entries.map(([name, amount]) => [name, -amount]))
  }
  const isFirst = 'result' in answer && !answer.replayed && isCounted(answer.result)
  if (!isFirst || !('amounts' in call.args)) return nothing
  return storedAmounts(call.args.amounts)
}

/** Whether this very report was settled before, and the budget is still the same one. */
function isCountedTwice({ call, answer, before, earlier }: Performed): boolean {
  if (call.name !== 'usage.apply' || !('result' in answer) || answer.replayed) return false
  const { budget, execution, seq } = call.args
  const isAnotherBudget = earlier.some(
    (step) => step.call.name === 'budget.remove' && step.call.args.budget === budget,
  )
  return !isAnotherBudget && fieldsOf(before.dump, `usage:${execution.slice(2)}`).has(`r${seq}`)
}

/** The use before, or of a new generation nothing, and what this call counted. */
function changeProblem(performed: Performed, budget: string): string | undefined {
  const { before, after } = performed
  if (isCountedTwice(performed)) return 'counted a report twice'
  const generation = (dump: Dump) => fieldsOf(dump, `budget:${budget}`).get('generation')
  const isSame = generation(before.dump) === generation(after.dump)
  const expected: Amounts = isSame ? countedOf(before.dump, budget, 'u:') : new Map()
  for (const [name, amount] of changeOf(performed, budget)) {
    expected.set(name, (expected.get(name) ?? 0) + amount)
  }
  const is = written(countedOf(after.dump, budget, 'u:'))
  return is === written(expected) ? undefined : `has used ${is}, not ${written(expected)}`
}

function sameRows(
  found: ReadonlyMap<string, number>,
  expected: ReadonlyMap<string, number>,
): boolean {
  return (
    found.size === expected.size &&
    [...expected].every(([name, score]) => found.get(name) === score)
  )
}

function listingProblem(dump: Dump): string | undefined {
  const budgets = budgetsIn(dump)
  const listed = new Map(budgets.map((id) => [id, 0]))
  if (!sameRows(scoresOf(dump, 'budgets'), listed)) return 'the listing of budgets is wrong'
  const times = new Map<string, number>()
  for (const id of budgets) {
    const fields = fieldsOf(dump, `budget:${id}`)
    const own = ['next_reset_at', 'hold_at', 'ledger_turn_at']
      .flatMap((name) => fields.get(name) ?? [])
      .map(Number)
    if (own.length > 0) times.set(id, Math.min(...own))
  }
  if (!sameRows(scoresOf(dump, 'budget_times'), times)) return 'the times of budgets are wrong'
  const owned = ['ledger0:', 'ledger1:', 'holds:'].flatMap((kind) => namesUnder(dump, kind))
  const stray = owned.find((id) => !budgets.includes(id))
  return stray === undefined ? undefined : `something of budget ${stray} was left behind`
}

/** Whoever has yet to hear of a budget is not forgotten, and all are told what is so. */
function newsProblem(dump: Dump): string | undefined {
  const budgets = budgetsIn(dump)
  const news = new Map<string, number>()
  for (const id of namesUnder(dump, 'budget:')) {
    const untold = fieldsOf(dump, `budget:${id}`).get('untold')
    if (untold !== undefined) news.set(id, Number(untold))
    else if (!budgets.includes(id)) return `what is left of ${id} has no reason`
  }
  if (!sameRows(scoresOf(dump, 'untold'), news)) return 'the index of news is wrong'
  for (const id of budgets) {
    const fields = fieldsOf(dump, `budget:${id}`)
    const [version = '0', action] = [fields.get('version'), fields.get('on_hard')]
    const behind = [...fieldsOf(dump, `told:${id}`).values()].some((heard) => heard !== version)
    if (behind && !news.has(id)) return `budget ${id} forgets to tell`
    const isFull = [...fields].some(
      ([name, limit]) =>
        name.startsWith('h:') && Number(fields.get(`u:${name.slice(2)}`) ?? 0) >= Number(limit),
    )
    const mark = isFull && action !== 'warn' ? action : undefined
    if (fields.get('mark') !== mark) return `budget ${id} tells ${fields.get('mark')}, not ${mark}`
  }
  return undefined
}

/** Each report is on its way or settled; keys lead to them; the index holds those on their way. */
function logProblem(dump: Dump): string | undefined {
  const logged = loggedIn(dump)
  for (const id of namesUnder(dump, 'usage:')) {
    const fields = fieldsOf(dump, `usage:${id}`)
    for (const { id: of, seq, key, isOpen, result } of logged) {
      if (of !== id) continue
      if (isOpen === (result !== undefined)) return `report ${seq} of ${id} is not clear`
      if (fields.get(`k${key}`) !== String(seq)) return `report ${seq} of ${id} lost its key`
    }
    const kept = logged.filter((other) => other.id === id).length
    const keyed = [...fields.keys()].filter((name) => /^k.{22}$/.test(name)).length
    if (Number(fields.get('kept')) !== kept || keyed !== kept) return `${id} miscounts its reports`
  }
  const open = logged.filter(({ isOpen }) => isOpen)
  const rows = open.map(
    ({ id, seq, loggedAtMs }) => [`${id} ${seq}`, loggedAtMs + counts.usageResendMs] as const,
  )
  const isIndexed = sameRows(scoresOf(dump, 'unsettled'), new Map(rows))
  return isIndexed ? undefined : 'the index of unsettled reports is wrong'
}
