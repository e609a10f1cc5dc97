// A refused call, and one that only reads, changes nothing but what was due anyway.
import { operationPlans } from '../../../src/persistence/generated/operations.ts'
import { budgetTimes } from '../budgets.ts'
import { hashOf } from '../waiting.ts'
import { dueTimes } from '../world.ts'
import type { Performed } from './performed.ts'

export function refusalChangesNothing(performed: Performed): string | undefined {
  const { call, answer, before, after } = performed
  const isRefused = answer.outcome === 'refused'
  if (!isRefused && !operationPlans[call.name].reads) return undefined
  if (before.text === after.text) return undefined
  const id = subjectOf(call)
  const budget = 'budget' in call.args ? call.args.budget : ''
  if (!isRefused) return `${call.name} only reads, but something changed`
  const fields = before.records.get(id) ?? {}
  const times = [...dueTimes(fields), ...budgetTimes(before.dump, budget)]
  // Whoever notices that a flow is over ends its member, and an ending settles its dependents.
  const flow = fields.flow === undefined ? undefined : hashOf(before.dump, `flow:${fields.flow}`)
  if (flow?.has('cancel_policy') === true) return undefined
  if (!times.some((at) => at <= performed.nowMs)) {
    return `${call.name} was refused with ${answer.code}, but something changed`
  }
  return flow === undefined ? strangerChanged(performed, [id, budget]) : undefined
}

/** The execution that the call is about. */
function subjectOf({ args }: Performed['call']): string {
  if ('id' in args) return args.id
  return ('parent' in args ? args.parent : undefined) ?? ''
}

/** Keys that belong to one execution or one budget. */
const ownKinds = new Set([
  ...['x', 'in', 'out', 'note', 'tags', 'attempts', 'wait', 'points', 'signals', 'key'],
  ...[
    'streams',
    'frames',
    'live',
    'summary',
    'usage',
    'budget',
    'ledger0',
    'ledger1',
    'holds',
    'told',
  ],
  ...['group', 'up', 'down'],
])

const fixed = ['lanes', 'config', 'keyring', 'executions', 'budgets', 'unsettled', 'exhausted']

/** The slot that the execution gave back may let those go that waited for one. */
function isAdmitted({ before, after }: Performed, id: string): boolean {
  const [was, is] = [before.records.get(id), after.records.get(id)]
  return was?.waits_for !== undefined && is?.waits_for === undefined
}

/** What was due touches the execution and its places in what executions share. */
function strangerChanged(performed: Performed, own: readonly string[]): string | undefined {
  const { before, after } = performed
  for (const key of new Set([...before.dump.keys(), ...after.dump.keys()])) {
    const isOwn = own.includes(key.split(':')[1] ?? '')
    const isOthers = key.includes(':') && ownKinds.has(key.split(':')[0] ?? '')
    const isFixed = fixed.includes(key)
    if (isOwn || !(isOthers || isFixed)) continue
    const [was, is] = [before.dump.get(key), after.dump.get(key)]
    if (key.startsWith('x:') && isAdmitted(performed, key.slice(2))) continue
    if (JSON.stringify(was) !== JSON.stringify(is)) return `a refused call changed ${key}`
  }
  return undefined
}
