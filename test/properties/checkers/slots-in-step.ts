// Slots never exceed their limit, and slots and waiters are those that the records name.
import type { Dump } from '../../support/canonical.ts'
import type { Fields } from '../world.ts'
import type { Performed } from './performed.ts'

type Rows = ReadonlyMap<string, string>

/** `bucket holder` → score of all rows under keys with the prefix; those of a queue together. */
function rowsOf(dump: Dump, prefix: string): Rows {
  const rows = new Map<string, string>()
  for (const [key, { type, value }] of dump) {
    if (type !== 'zset' || !key.startsWith(prefix)) continue
    const bucket = key.slice(prefix.length).split('||')[0]
    for (const [holder, score] of value) rows.set(`${bucket} ${holder}`, score)
  }
  return rows
}

const isHere = (row: string) => !/ \d+:[^:]+:\d+$/.test(row)

function sizes(dump: Dump): ReadonlyMap<string, number> {
  const counted = new Map<string, number>()
  for (const row of rowsOf(dump, 'slots:').keys()) {
    const bucket = row.split(' ')[0] ?? ''
    counted.set(bucket, (counted.get(bucket) ?? 0) + 1)
  }
  return counted
}

function difference(kind: string, found: Rows, named: ReadonlySet<string>): string | undefined {
  for (const row of found.keys()) {
    if (isHere(row) && !named.has(row)) return `${row} has a ${kind} that no record names`
  }
  for (const row of named) if (!found.has(row)) return `${row} has no ${kind}`
  return undefined
}

function mayHold({ state = '', permit_until }: Fields): boolean {
  return (
    state.startsWith('leased.') || (state.startsWith('runnable.re') && permit_until !== undefined)
  )
}

export function slotsInStep({ before, after }: Performed): string | undefined {
  if (before.text === after.text) return undefined
  const holding = new Set<string>()
  const waiting = new Set<string>()
  for (const [id, fields] of after.records) {
    const { slot, waits_for, ticket, state, withheld } = fields
    if (slot !== undefined) holding.add(`${slot} ${id}:${ticket}`)
    if (waits_for !== undefined) waiting.add(`${waits_for} ${id}:${ticket}`)
    if (slot !== undefined && !mayHold(fields)) return `${id} holds a slot in ${state}`
    const isWaiting = state === 'runnable.blocked' && withheld === 'limit'
    if (isWaiting !== (waits_for !== undefined)) return `${id} waits in ${state}`
  }
  return (
    difference('slot', rowsOf(after.dump, 'slots:'), holding) ??
    difference('place', rowsOf(after.dump, 'waiters:'), waiting) ??
    tooMany(before.dump, after.dump)
  )
}

/** A limit that was lowered takes nobody a slot, but gives out none either. */
function tooMany(before: Dump, after: Dump): string | undefined {
  const limits = after.get('limits')
  const definitions = new Map(limits?.type === 'hash' ? limits.value : [])
  const earlier = sizes(before)
  for (const [bucket, size] of sizes(after)) {
    const definition = String(definitions.get(bucket.split('|')[0] ?? '') ?? '')
    const bound = Number(definition.split(' ')[0] ?? 0)
    const isOver = bound > 0 && size > bound && size > (earlier.get(bucket) ?? 0)
    if (isOver) return `${bucket} has ${size} slots, not ${bound}`
  }
  return undefined
}
