// Random signals: to open, closed and foreign waitpoints, again, alike, too many; and reading them.
import type { Arguments } from '../../../src/persistence/contract.ts'
import type { Choices } from '../choices.ts'
import { type Waitpoint, waitpointsOf } from '../waiting.ts'
import type { Call, Step, World } from '../world.ts'
import { categories, correlations, senders, signalNames } from './condition.ts'
import { digestOf, someBytes } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

type Delivery = Arguments<'signal.deliver'>

/** What a holder of a token knows about a waitpoint. */
export interface Target {
  readonly id: string
  readonly execution: string
  readonly attempt: number
  readonly kid: string
}

/** Every waitpoint, with the execution that it belongs to. */
function targets(world: World): (Waitpoint & Target)[] {
  return [...world.records.keys()].flatMap((execution) =>
    waitpointsOf(world.dump, execution).map((point) => ({ ...point, execution })),
  )
}

/** A signal of random content. */
export function deliveryTo(choices: Choices, world: World, target: Target): Call {
  const [source, identity] = choices.one(senders)
  const args: Delivery = {
    id: target.execution,
    attempt: target.attempt,
    waitpoint: target.id,
    kid: target.kid,
    signal: digestOf(world.fresh('signal')),
    digest: digestOf(`c${choices.below(2)}`),
    name: choices.one([undefined, ...signalNames, ...signalNames]),
    category: choices.one(categories),
    source,
    identity,
    correlation: choices.one(correlations),
    encoding: 'binary',
    key: choices.optional(['key', 'ü\u0000 k', ''], 5),
    created_at: choices.optional([0, world.nowMs + 5000], 6),
    payload: choices.rarely(2) ? someBytes(choices, choices.one([3, 0, 300])) : undefined,
  }
  return { name: 'signal.deliver', args }
}

/** An open waitpoint, mostly; sometimes any. */
function someTarget(choices: Choices, world: World): Target | undefined {
  const all = targets(world)
  const isWaiting = ({ execution }: Target) => world.records.get(execution)?.state === 'suspended'
  const open = all.filter(({ state }) => state !== 'closed')
  // What was closed before the execution was suspended again.
  const old = all.filter((point) => point.state === 'closed' && isWaiting(point))
  const closed = old.length > 0 ? old : all
  const from = open.length > 0 && !choices.rarely(4) ? open : closed
  if (from.length === 0) return undefined
  // Mostly one of the latest: what came before is often over.
  return choices.rarely(3) ? choices.one(from) : from.at(-1 - choices.below(3))
}

/** Whoever guesses, mixes up or keeps a token too long. */
function astray(choices: Choices, world: World, target: Target): Target {
  switch (choices.below(24)) {
    case 20:
      return { ...target, attempt: target.attempt + 1 }
    case 21:
      return { ...target, kid: choices.one(['k1', 'k2', 'k3', 'never']) }
    case 22:
      return { ...target, execution: world.someId(choices) }
    case 23:
      return { ...target, id: digestOf('nobody') }
    default:
      return target
  }
}

/** A signal that was sent before, once more: alike, or with something changed. */
function sentBefore(choices: Choices, world: World): Call | undefined {
  const args = world.deliveries.at(-1 - choices.below(Math.max(1, world.deliveries.length)))
  if (args === undefined) return undefined
  const others: readonly Partial<Delivery>[] = [
    {},
    {},
    { digest: digestOf('other') },
    { signal: digestOf(world.fresh('signal')) },
    { key: choices.one([undefined, 'key']) },
  ]
  return { name: 'signal.deliver', args: { ...args, ...choices.one(others) } }
}

export function deliver(choices: Choices, world: World): Step[] {
  const again = choices.rarely(5) ? sentBefore(choices, world) : undefined
  const target = someTarget(choices, world)
  if (again !== undefined) return one(again)
  const known = target ?? {
    id: digestOf('nobody'),
    execution: '9'.repeat(26),
    attempt: 0,
    kid: 'k1',
  }
  return one(deliveryTo(choices, world, astray(choices, world, known)))
}

/** Several signals to waitpoints of one execution. */
export function deliverSome(choices: Choices, world: World): Step[] {
  const target = someTarget(choices, world)
  if (target === undefined) return []
  const points = targets(world).filter(({ execution }) => execution === target.execution)
  const open = points.filter(({ state }) => state === 'active')
  const from: readonly Target[] = open.length > 0 ? open : [target]
  const count = 2 + choices.below(5)
  return Array.from({ length: count }, () => ({
    step: 'call' as const,
    call: deliveryTo(choices, world, choices.one(from)),
  }))
}

/** What senders may do: little, mostly, so that they reach it. */
export function allow(choices: Choices): Step[] {
  const few = () => choices.optional([1, 3, 6, 1000], 2)
  return one({
    name: 'partition.allow',
    args: {
      signals_per_execution: few(),
      signals_per_suspension: few(),
      signals_per_sender: few(),
      sender_window_ms: choices.optional([1, 500, 60_000], 2),
    },
  })
}

/** More signals than are allowed, or than a waitpoint keeps. */
export function flood(choices: Choices, world: World): Step[] {
  const target = someTarget(choices, world)
  if (target === undefined) return allow(choices)
  const before = choices.rarely(2) ? allow(choices) : []
  const [source, identity] = choices.one(senders)
  const calls = Array.from({ length: 7 }, (): Step => {
    const { name, args } = deliveryTo(choices, world, target) as Extract<
      Call,
      { name: 'signal.deliver' }
    >
    return { step: 'call', call: { name, args: { ...args, source, identity, key: undefined } } }
  })
  return [...before, ...calls]
}

export function lookAtSignals(choices: Choices, world: World): Step[] {
  const targeted = someTarget(choices, world)?.execution
  const id = choices.rarely(2) ? world.someId(choices) : (targeted ?? world.someId(choices))
  switch (choices.below(4)) {
    case 0: {
      const attempt = Number(world.records.get(id)?.attempt ?? 0)
      const other = choices.rarely(5) ? attempt + 1 : attempt
      return one({ name: 'signal.observe', args: { id, attempt: other } })
    }
    case 1: {
      const after = choices.one([0, 0, 1, 2, 50])
      return one({ name: 'signal.list', args: { id, after, count: choices.one([100, 0, 1, 2]) } })
    }
    case 2:
      return one({ name: 'waitpoint.list', args: { id, with_signals: choices.rarely(2) } })
    default:
      return one({ name: 'partition.suspended', args: suspendedPage(choices, world) })
  }
}

/** From the start, or behind a row that is there or was there once. */
function suspendedPage(choices: Choices, world: World): Arguments<'partition.suspended'> {
  const count = choices.one([1, 1000, 0, 2])
  const behind = choices.rarely(2) ? world.suspendedRows : []
  const row = behind.at(-1 - choices.below(Math.max(1, behind.length)))
  return { after_score: row?.score, after: row?.id, count }
}
