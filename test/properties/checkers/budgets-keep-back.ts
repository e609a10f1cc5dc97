// Work begins only while its budgets let it, and is let go only when a budget said so.
import { fieldsOf } from '../budgets.ts'
import { type Performed, pairs } from './performed.ts'

export function budgetsKeepBack(performed: Performed): string | undefined {
  for (const [id, before, after] of pairs(performed)) {
    const budgets = before.budgets?.split(',') ?? []
    if (after === undefined || budgets.length === 0) continue
    const told = fieldsOf(performed.after.dump, 'exhausted')
    const actions = budgets.map((budget) => told.get(budget)?.split(' ')[1] ?? '-')
    const stops = actions.includes('withhold') || actions.includes('fail')
    const hasBegun = before.state?.startsWith('runnable.') && after.state === 'leased.held'
    if (hasBegun && stops) return `${id} begins though a budget is used up`
    const hasFailed = after.reason === 'budget_exceeded' && before.ended_at === undefined
    if (hasFailed && !actions.includes('fail')) return `${id} failed for no budget`
    const isKept = after.withheld === 'budget' && before.withheld === undefined
    if (isKept && !actions.includes('withhold')) return `${id} is kept back for no budget`
    const isStuck = after.withheld === 'budget' && actions.every((action) => action !== 'withhold')
    const admitting = performed.after.dump.get('admitting')
    const isOnItsWay = budgets.some((budget) => String(admitting?.value ?? '').includes(budget))
    if (isStuck && !isOnItsWay) return `${id} waits for nobody`
  }
  return undefined
}
