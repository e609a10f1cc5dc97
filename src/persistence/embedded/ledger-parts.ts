// The two parts of a budget's ledger, which take turns; the twin of lua/lib/ledger_parts.lua.
import { counts } from '../../limits.ts'
import type { Budget } from './budgets.ts'
import type { CallContext } from './call-context.ts'
import type { Hashes } from './hashes.ts'
import type { Keyspace } from './keyspace.ts'

/** The part that is written to, and the earlier one. */
export function ledgerParts({ ledgers }: Keyspace, b: Budget): readonly [Hashes, Hashes] {
  const [even, odd] = ledgers
  return b.count('ledger_part') === 0 ? [even, odd] : [odd, even]
}

/** The greatest number of all reports whose rows are gone. */
export const ledgerFloor = (b: Budget): number => b.count('ledger_floor')

/** Notes that the current part now holds reports up to that number. */
export function wroteLedger({ nowMs }: CallContext, b: Budget, newest: number): void {
  b.set('ledger_newest', Math.max(b.count('ledger_newest'), newest))
  if (!b.f.has('ledger_turn_at')) b.set('ledger_turn_at', nowMs + counts.ledgerKeepMs)
}

/** Lets the parts change places if it is time; tells whether it was. The caller commits. */
export function turnLedger({ keyspace, nowMs }: CallContext, b: Budget): boolean {
  const atMs = b.number('ledger_turn_at')
  if (atMs === undefined || atMs > nowMs) return false
  const [, earlier] = ledgerParts(keyspace, b)
  earlier.drop(b.id)
  b.set('ledger_part', b.count('ledger_part') === 0 ? 1 : undefined)
  const gone = b.count('ledger_earlier')
  if (gone > ledgerFloor(b)) b.set('ledger_floor', gone)
  const left = b.number('ledger_newest')
  b.set('ledger_earlier', left)
  b.set('ledger_newest', undefined)
  b.set('ledger_turn_at', left === undefined ? undefined : nowMs + counts.ledgerKeepMs)
  return true
}
