// What is stored about budgets and about reports to them, as commands and checkers read it.
import { type Amounts, storedAmounts } from '../../src/persistence/amounts.ts'
import type { Dump } from '../support/canonical.ts'
import { hashOf } from './waiting.ts'

/** Names behind a prefix, of everything that is stored under it. */
export function namesUnder(dump: Dump, prefix: string): string[] {
  return [...dump.keys()].flatMap((key) =>
    key.startsWith(prefix) ? [key.slice(prefix.length)] : [],
  )
}

/** Budgets that are there, without what is left of removed ones. */
export const budgetsIn = (dump: Dump): string[] =>
  namesUnder(dump, 'budget:').filter((id) => !fieldsOf(dump, `budget:${id}`).has('removed'))

export const fieldsOf = (dump: Dump, key: string): ReadonlyMap<string, string> =>
  new Map([...hashOf(dump, key)].map(([name, value]) => [name, String(value)]))

/** The rows of a sorted set, by member. */
export function scoresOf(dump: Dump, key: string): ReadonlyMap<string, number> {
  const stored = dump.get(key)
  if (stored?.type !== 'zset') return new Map()
  return new Map(stored.value.map(([member, score]) => [member, Number(score)]))
}

/** Times at which something is due with one budget, or with any and with reports to them. */
export function budgetTimes(dump: Dump, budget?: string): number[] {
  const times = scoresOf(dump, 'budget_times')
  if (budget === undefined) return [...times.values(), ...scoresOf(dump, 'unsettled').values()]
  return [times.get(budget) ?? Number.POSITIVE_INFINITY]
}

/** A report as the log of its execution keeps it. */
export interface Logged {
  readonly id: string
  readonly seq: number
  readonly settled: number
  readonly budget: string
  readonly mode: string
  readonly loggedAtMs: number
  readonly reservation: string | undefined
  readonly key: string
  readonly amounts: string
  readonly isOpen: boolean
  readonly result: string | undefined
}

/** Every report that is kept. */
export function loggedIn(dump: Dump): Logged[] {
  return namesUnder(dump, 'usage:').flatMap((id) => {
    const fields = fieldsOf(dump, `usage:${id}`)
    const open = (fields.get('open') ?? '').split(';').filter(Boolean).map(Number)
    const settled = open[0] === undefined ? Number(fields.get('last')) : open[0] - 1
    return [...fields].flatMap(([name, text]): Logged[] => {
      if (!/^e\d+$/.test(name)) return []
      const seq = Number(name.slice(1))
      const [, budget = '', mode = '', loggedAt, reservation, key = '', ...rest] = text.split(' ')
      return [
        {
          ...{ id, seq, settled, budget, mode, key, amounts: rest.join(' ') },
          loggedAtMs: Number(loggedAt),
          reservation: reservation === '-' ? undefined : reservation,
          isOpen: open.includes(seq),
          result: fields.get(`r${seq}`),
        },
      ]
    })
  })
}

/** What is used of a budget, by dimension; and what is reserved. */
export function countedOf(dump: Dump, budget: string, kind: 'u:' | 'r:'): Amounts {
  const found: Amounts = new Map()
  for (const [name, text] of fieldsOf(dump, `budget:${budget}`)) {
    if (name.startsWith(kind)) found.set(name.slice(2), Number(text))
  }
  return found
}

/** What both parts of a budget's ledger hold. */
export const ledgerFieldsOf = (dump: Dump, budget: string): ReadonlyMap<string, string> =>
  new Map([0, 1].flatMap((part) => [...fieldsOf(dump, `ledger${part}:${budget}`)]))

/** What the ledger of a budget holds of its generation, and its reservations, by dimension. */
export function ledgerOf(dump: Dump, budget: string): { readonly used: Amounts; held: Amounts } {
  const used: Amounts = new Map()
  const held: Amounts = new Map()
  const add = (to: Amounts, text: string) => {
    for (const [name, amount] of storedAmounts(text)) to.set(name, (to.get(name) ?? 0) + amount)
  }
  const current = fieldsOf(dump, `budget:${budget}`).get('generation')
  for (const [name, text] of ledgerFieldsOf(dump, budget)) {
    const [generation, , , ...rest] = text.split(' ')
    if (!name.includes(' ') && generation === current) add(used, rest.join(' '))
  }
  for (const text of fieldsOf(dump, `holds:${budget}`).values()) {
    add(held, text.split(' ').slice(2).join(' '))
  }
  return { used, held }
}
