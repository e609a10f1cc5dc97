// Random budgets, reports to them, reservations, and the relay that takes reports there.
import { digest } from '../../../src/ids.ts'
import { hardLimitActions } from '../../../src/limits.ts'
import {
  budgetsIn,
  fieldsOf,
  type Logged,
  ledgerFieldsOf,
  loggedIn,
  namesUnder,
} from '../budgets.ts'
import type { Choices } from '../choices.ts'
import type { Call, Step, World } from '../world.ts'
import { claim } from './lease.ts'
import { digestOf, submit } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

const ids = ['b1', 'b2', 'b3'] as const
const most = Number.MAX_SAFE_INTEGER

const limitLists = [
  'tokens 10 5,calls 3 -',
  'calls 3 -,tokens 10 5',
  'tokens 20 10',
  'ünï 4 0',
  '',
  'a 1 1,b - 2,c - -,tokens 0 0',
  'd 5 -,e 5 -,f - 1',
]

const amountLists = [
  'tokens 3',
  'tokens 4,calls 1',
  'tokens 2,tokens 2',
  'ünï 3,tokens 0',
  'tokens 0',
  'tokens 11',
  'a 1,b 1,c 1,d 1',
  'e 1,f 1,__proto__ 1',
]

/** Now and then as much as cannot be added to anything. */
function someAmounts(choices: Choices): string {
  return choices.rarely(12) ? `tokens ${choices.one([most, most - 5])}` : choices.one(amountLists)
}

function someBudget(choices: Choices, world: World): string {
  const known = budgetsIn(world.dump)
  return known.length === 0 || choices.rarely(8) ? choices.one(ids) : choices.one(known)
}

/** Reports to a budget that nobody made tell little. */
function withBudget(choices: Choices, world: World, steps: () => Step[]): Step[] {
  const isEmpty = budgetsIn(world.dump).length === 0 && !choices.rarely(6)
  return isEmpty ? makeBudget(choices) : steps()
}

export function makeBudget(choices: Choices): Step[] {
  const dimensions = choices.one(limitLists)
  const reset_ms = choices.optional([1000, 5000], 2)
  return one({
    name: 'budget.create',
    args: {
      budget: choices.one(ids),
      fingerprint: digest(dimensions, String(reset_ms)),
      dimensions,
      on_hard: choices.one(hardLimitActions),
      scope: choices.optional(['tenant:ü']),
      reset_ms,
    },
  })
}

function someExecution(choices: Choices, world: World): string {
  const spenders = namesUnder(world.dump, 'usage:')
  const id = spenders.length > 0 ? choices.one(spenders) : world.someId(choices)
  return `0-${id}`
}

export function manageBudget(choices: Choices, world: World): Step[] {
  const budget = someBudget(choices, world)
  switch (choices.below(6)) {
    case 0:
      return one({
        name: 'budget.change',
        args: {
          budget,
          dimensions: choices.one(limitLists),
          on_hard: choices.optional(hardLimitActions),
        },
      })
    case 1: {
      const reset_id = choices.one([world.fresh('reset'), 'reset-1'])
      return one({ name: 'budget.reset', args: { budget, reset_id } })
    }
    case 2:
      return choices.rarely(2)
        ? one({ name: 'budget.remove', args: { budget } })
        : makeBudget(choices)
    default:
      return one({
        name: 'budget.release',
        args: { budget, execution: someExecution(choices, world) },
      })
  }
}

function someReservation(choices: Choices, world: World, budget: string): string | undefined {
  const held = namesUnder(world.dump, `holds:${budget}`).length > 0
  const known = held ? [...fieldsOf(world.dump, `holds:${budget}`).keys()] : []
  if (known.length > 0 && choices.below(2) === 0) return choices.one(known)
  return choices.optional([digest('no reservation')], 6)
}

function report(choices: Choices, world: World): Call {
  const budget = someBudget(choices, world)
  const known = loggedIn(world.dump).map(({ key }) => key)
  const isAgain = known.length > 0 && choices.rarely(6)
  return {
    name: 'usage.report',
    args: {
      ...world.someFence(choices),
      key: isAgain ? choices.one(known) : digestOf(world.fresh('usage')),
      budget,
      mode: choices.one(['record', 'enforce']),
      amounts: someAmounts(choices),
      reservation: someReservation(choices, world, budget),
      here: choices.one([0, undefined]),
    },
  }
}

export function reportUsage(choices: Choices, world: World): Step[] {
  return withBudget(choices, world, () => one(report(choices, world)))
}

/** As many reports as an execution may have on their way, and more than it keeps. */
export function floodUsage(choices: Choices, world: World): Step[] {
  return withBudget(choices, world, () => {
    const { args } = report(choices, world) as Extract<Call, { name: 'usage.report' }>
    return Array.from({ length: choices.one([6, 9]) }, (): Step => {
      const key = digestOf(world.fresh('usage'))
      return { step: 'call', call: { name: 'usage.report', args: { ...args, key } } }
    })
  })
}

function applying({ id, seq, settled, budget, mode, amounts, reservation }: Logged): Call {
  const args = { execution: `0-${id}`, seq, settled, budget, mode, amounts, reservation }
  return { name: 'usage.apply', args: { ...args, settled: Math.min(settled, seq - 1) } }
}

/** What the relay does next with some report: mostly with one that is on its way. */
export function relayUsage(choices: Choices, world: World): Step[] {
  const logged = loggedIn(world.dump)
  const open = logged.filter(({ isOpen }) => isOpen)
  const from = open.length > 0 && !choices.rarely(5) ? open : logged
  if (from.length === 0) return withBudget(choices, world, () => one(report(choices, world)))
  const chosen = choices.one(from)
  const { id, seq, budget } = chosen
  const known = ledgerFieldsOf(world.dump, budget).get(`0-${id} ${seq}`)
  const floor = Number(fieldsOf(world.dump, `budget:${budget}`).get('ledger_floor') ?? 0)
  const isGone = !budgetsIn(world.dump).includes(budget) || seq <= floor
  const isAnswered = known !== undefined || (isGone && choices.below(2) === 0)
  if (!isAnswered || choices.rarely(5)) return one(applying(chosen))
  return one({ name: 'usage.settle', args: { id, seq, result: known } })
}

export function reserve(choices: Choices, world: World): Step[] {
  return withBudget(choices, world, () => {
    const budget = someBudget(choices, world)
    const known = [...fieldsOf(world.dump, `holds:${budget}`).keys()]
    const isAgain = known.length > 0 && choices.rarely(5)
    return one({
      name: 'budget.reserve',
      args: {
        budget,
        execution: `0-${world.someFence(choices).id}`,
        reservation: isAgain ? choices.one(known) : digestOf(world.fresh('reservation')),
        amounts: someAmounts(choices),
        ttl_ms: choices.one([1000, 1, 60_000]),
      },
    })
  })
}

export function describeBudget(choices: Choices, world: World): Step[] {
  if (choices.below(2) === 0) {
    return one({ name: 'budget.describe', args: { budget: someBudget(choices, world) } })
  }
  const after = choices.optional(ids, 2)
  return one({ name: 'budget.list', args: { after, count: choices.one([1000, 0, 1, 2]) } })
}

export function lookAtUsage(choices: Choices, world: World): Step[] {
  switch (choices.below(3)) {
    case 0:
      return one({ name: 'usage.unsettled', args: { count: choices.one([1000, 1, 2]) } })
    case 1:
      return one({ name: 'usage.totals', args: { id: world.someId(choices) } })
    default:
      return one({ name: 'lease.check', args: world.someFence(choices) })
  }
}

/** What the relay does about news: a partition is attached, told, and the budget hears of it. */
export function tellBudget(choices: Choices, world: World): Step[] {
  const known = namesUnder(world.dump, 'budget:')
  const budget = known.length > 0 && !choices.rarely(10) ? choices.one(known) : choices.one(ids)
  const fields = fieldsOf(world.dump, `budget:${budget}`)
  const version = Number(fields.get('version') ?? 0)
  const action = fields.get('mark')
  const partition = choices.one([0, 0, 0, 1, 12])
  const attach: Call = { name: 'budget.attach', args: { budget, partition } }
  const note: Call = { name: 'budget.note', args: { budget, version, action } }
  const told: Call = { name: 'budget.told', args: { budget, partition, version } }
  switch (choices.below(6)) {
    case 0:
      return one({ name: 'budget.untold', args: { count: choices.one([1000, 0, 1]) } })
    case 1:
      return [...one(attach), ...one(note)]
    case 2:
      return one(told)
    case 3:
      return one(attach)
    case 4:
      // A budget of another partition, of which nothing is stored here.
      return one({
        name: 'budget.note',
        args: {
          budget: choices.one(['b2', 'b3', 'b1']),
          version: version + choices.below(3),
          action: choices.optional(hardLimitActions, 2),
        },
      })
    default:
      return [...one(note), ...one(told)]
  }
}

/** A budget of another partition is used up, work comes and is asked for, and maybe let go. */
export function keepBack(choices: Choices, world: World): Step[] {
  const noted = (add: number, action: string | undefined): Step[] => {
    const text = fieldsOf(world.dump, 'exhausted').get('b3') ?? '0'
    const version = Number(text.split(' ')[0]) + add
    return one({ name: 'budget.note', args: { budget: 'b3', version, action } })
  }
  const submits = Array.from({ length: choices.one([1, 1, 3]) }, () => {
    const [step] = submit(choices, world)
    const isSubmit = step?.step === 'call' && step.call.name === 'execution.submit'
    if (!isSubmit) return []
    const args = {
      ...step.call.args,
      budgets: choices.one(['b3', 'b1,b3']),
      capabilities: undefined,
    }
    return one({ name: 'execution.submit', args })
  }).flat()
  const steps = [
    ...noted(1, choices.one(['withhold', 'withhold', 'fail', 'deny_children'])),
    ...submits,
    ...claim(choices, world),
  ]
  const letGo = noted(2, choices.optional(['fail', 'warn'], 3))
  return choices.below(3) === 0 ? steps : [...steps, ...letGo, ...claim(choices, world)]
}

/** A budget that others have yet to hear of is removed, and perhaps made again. */
export function removeUntold(choices: Choices): Step[] {
  const budget = choices.one(ids)
  const create: Call = {
    name: 'budget.create',
    args: {
      budget,
      fingerprint: digest('full'),
      dimensions: 'tokens 0 0',
      on_hard: choices.one(['withhold', 'deny_children', 'warn']),
      scope: undefined,
      reset_ms: undefined,
    },
  }
  const steps: Call[] = [
    create,
    { name: 'budget.attach', args: { budget, partition: choices.one([0, 3]) } },
    { name: 'budget.remove', args: { budget } },
  ]
  const calls = choices.rarely(3) ? [...steps, create] : steps
  return calls.flatMap(one)
}

/** More reservations of one budget than there may be. */
export function reserveMany(choices: Choices, world: World): Step[] {
  return withBudget(choices, world, () => {
    const budget = someBudget(choices, world)
    const execution = `0-${world.someFence(choices).id}`
    return Array.from({ length: 4 }, (): Step => {
      const reservation = digestOf(world.fresh('reservation'))
      const args = { budget, execution, reservation, amounts: 'other 1', ttl_ms: 60_000 }
      return { step: 'call', call: { name: 'budget.reserve', args } }
    })
  })
}

/** A budget is used up between a grant and its claim. */
export function exhaustGranted(choices: Choices, world: World): Step[] {
  const id = world
    .idsIn(/^runnable\.resumed$/)
    .find((known) => world.records.get(known)?.budgets !== undefined)
  if (id === undefined) return keepBack(choices, world)
  const [budget = ''] = (world.records.get(id)?.budgets ?? '').split(',')
  const known = (fieldsOf(world.dump, 'exhausted').get(budget) ?? '0').split(' ')[0]
  const grant = { id, of: 'runnable', grant_id: world.fresh('grant'), worker: 'w1' }
  const calls: Call[] = [
    { name: 'lease.grant', args: { ...grant, grant_ms: 60_000, capabilities: 'gpu,ü,x' } },
    { name: 'budget.note', args: { budget, version: Number(known) + 1, action: 'withhold' } },
    {
      name: 'lease.claim_granted',
      args: { ...grant, lease_id: world.fresh('lease'), lease_ms: 1000 },
    },
  ]
  return calls.flatMap(one)
}
