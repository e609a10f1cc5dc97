// Reports of usage: logged beside their execution, counted by their budget, and settled.
import { formatAmounts, storedAmounts } from '../../amounts.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { type Budget, loadBudget, noBudget, overflow } from '../budgets.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { checkFence } from '../fence.ts'
import { applyReport, newestReport } from '../ledger.ts'
import {
  appendReport,
  isLogFull,
  knownReport,
  overdueReports,
  settledUpTo,
  settleReport,
  usageEntry,
} from '../usage-log.ts'

type Report = Arguments<'usage.report'>

/** The report again: settled, or still on its way to its budget. */
function known({ keyspace }: CallContext, { id, key }: Report): Answer<'usage.report'> | undefined {
  const found = knownReport(keyspace, id, key)
  if (found === undefined) return undefined
  const { seq, result } = found
  if (result !== undefined) return { outcome: 'reported', result, replayed: true, untold: false }
  return { outcome: 'logged', seq, settled: settledUpTo(keyspace, id), replayed: true }
}

function countHere(
  call: CallContext,
  args: Report,
  partition: number,
  b: Budget,
): Answer<'usage.report'> {
  const { keyspace } = call
  const amounts = storedAmounts(args.amounts)
  const refusal = overflow(b, amounts)
  if (refusal !== undefined) return refusal
  const execution = `${partition}-${args.id}`
  const newest = newestReport(keyspace, b, execution)
  const seq = appendReport(call, args.id, { ...args, amounts }, newest)
  const applied = applyReport(call, b, {
    execution,
    seq,
    settled: settledUpTo(keyspace, args.id),
    mode: args.mode,
    amounts,
    reservation: args.reservation,
  })
  const result = applied !== undefined && 'result' in applied ? applied.result : undefined
  settleReport(keyspace, args.id, seq, result)
  const untold = b.f.has('untold')
  return { outcome: 'reported', result: result as string, replayed: false, untold }
}

export function reportUsage(call: CallContext, args: Report): Answer<'usage.report'> {
  const checked = checkFence(call, args)
  if ('refusal' in checked) return checked.refusal
  const answer = known(call, args)
  if (answer !== undefined) return answer
  if (isLogFull(call.keyspace, args.id)) return refuse('usage_log_full')
  if (args.here !== undefined) {
    const b = loadBudget(call, args.budget)
    return b === undefined ? noBudget(args.budget) : countHere(call, args, args.here, b)
  }
  const seq = appendReport(call, args.id, { ...args, amounts: storedAmounts(args.amounts) }, 0)
  const settled = settledUpTo(call.keyspace, args.id)
  return { outcome: 'logged', seq, settled, replayed: false }
}

export function applyUsage(
  call: CallContext,
  args: Arguments<'usage.apply'>,
): Answer<'usage.apply'> {
  const b = loadBudget(call, args.budget)
  if (b === undefined) return noBudget(args.budget)
  const applied = applyReport(call, b, { ...args, amounts: storedAmounts(args.amounts) })
  if (applied === undefined) return { outcome: 'forgotten' }
  if (!('result' in applied)) return applied
  return { outcome: 'applied', ...applied, untold: b.f.has('untold') }
}

export function settleUsage(
  { keyspace }: CallContext,
  { id, seq, result }: Arguments<'usage.settle'>,
): Answer<'usage.settle'> {
  return { outcome: 'settled', replayed: !settleReport(keyspace, id, seq, result) }
}

export function unsettledUsage(
  call: CallContext,
  { count }: Arguments<'usage.unsettled'>,
): Answer<'usage.unsettled'> {
  const { keyspace } = call
  const reports = overdueReports(call, count).flatMap(({ id, seq }) => {
    const entry = usageEntry(keyspace, id, seq)
    if (entry === undefined) return []
    const { budget, mode, amounts, reservation } = entry
    const settled = settledUpTo(keyspace, id)
    return [{ id, seq, settled, budget, mode, amounts: formatAmounts(amounts), reservation }]
  })
  return { outcome: 'listed', reports }
}

export function usageTotals(
  { keyspace }: CallContext,
  { id }: Arguments<'usage.totals'>,
): Answer<'usage.totals'> {
  const fields = [...keyspace.usage.fields(id)]
  const marked = (mark: string) => fields.filter(([field]) => field.startsWith(mark))
  return {
    outcome: 'found',
    totals: Object.fromEntries(marked('a').map(([field, text]) => [field.slice(1), text])),
    unsettled: marked('e').length - marked('r').length,
  }
}
