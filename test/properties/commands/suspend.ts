// Random suspensions: new and issued waitpoints, every condition, every way of running out of time.
import { timeoutBehaviours } from '../../../src/limits.ts'
import type { Arguments } from '../../../src/persistence/contract.ts'
import type { Choices } from '../choices.ts'
import { currentKid, waitpointsOf } from '../waiting.ts'
import type { Call, Fence, Step, World } from '../world.ts'
import { someCondition } from './condition.ts'
import { deliveryTo, type Target } from './signal.ts'
import { digestOf } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

const firstKid = 'k1'

/** Nothing can be signed without a key: mostly somebody has installed one before. */
function withKey(choices: Choices, world: World, steps: readonly Step[]): Step[] {
  const isSigned = currentKid(world.dump) !== undefined || choices.rarely(8)
  const seed: Call = { name: 'keyring.seed', args: { kid: firstKid, secret: secretOf(firstKid) } }
  return isSigned ? [...steps] : [...one(seed), ...steps]
}

export const secretOf = (kid: string): string => kid.padEnd(43, 's')

function someKid(choices: Choices, world: World): string {
  const kid = currentKid(world.dump) ?? firstKid
  return choices.rarely(12) ? choices.one(['k1', 'k2', 'never']) : kid
}

/** Mostly of work that has waitpoints already: there is more to find than with the first one. */
function seasonedFence(choices: Choices, world: World): Fence {
  const held = world.idsIn(/^leased\.held$/)
  const seasoned = held.filter((id) => waitpointsOf(world.dump, id).length > 0)
  const isSeasoned = seasoned.length > 0 && choices.below(4) > 0
  const fence = isSeasoned ? world.fenceOf(choices.one(seasoned)) : undefined
  return fence ?? world.someFence(choices)
}

const keys = ['a', 'b', 'c', 'ü:{d}'] as const

function creation(choices: Choices, world: World, fence: Fence): Arguments<'waitpoint.create'> {
  const known = waitpointsOf(world.dump, fence.id).map(({ id }) => id)
  const isAgain = known.length > 0 && choices.rarely(3)
  return {
    ...fence,
    waitpoint: isAgain ? choices.one(known) : digestOf(world.fresh('point')),
    key: choices.one(['p', 'q', ...keys]),
    kid: someKid(choices, world),
    scope: choices.one(['attempt', 'attempt', 'run']),
    expires_ms: choices.optional([1000, 30_000]),
  }
}

export function createWaitpoint(choices: Choices, world: World): Step[] {
  const args = creation(choices, world, seasonedFence(choices, world))
  return withKey(choices, world, one({ name: 'waitpoint.create', args }))
}

/** More than an execution may issue. */
export function createMany(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const kid = someKid(choices, world)
  const steps = Array.from({ length: 13 }, (): Step => {
    const waitpoint = digestOf(world.fresh('point'))
    const rest = { key: 'many', kid, scope: 'attempt', expires_ms: undefined }
    return {
      step: 'call',
      call: { name: 'waitpoint.create', args: { ...fence, waitpoint, ...rest } },
    }
  })
  return withKey(choices, world, steps)
}

export function closeWaitpoint(choices: Choices, world: World): Step[] {
  const fence = seasonedFence(choices, world)
  const known = waitpointsOf(world.dump, fence.id).map(({ id }) => id)
  const isKnown = known.length > 0 && !choices.rarely(8)
  const waitpoint = isKnown ? choices.one(known) : digestOf('nobody')
  return one({ name: 'waitpoint.close', args: { ...fence, waitpoint, why: 'proactive_close' } })
}

/** New waitpoints with different keys, mostly. */
function freshItems(choices: Choices, world: World, count: number): string[] {
  const kid = someKid(choices, world)
  const isTwice = choices.rarely(16)
  return Array.from({ length: count }, (_, at) => {
    const key = isTwice ? keys[0] : keys[at % keys.length]
    return `${digestOf(world.fresh('point'))} ${key} ${kid}`
  })
}

/** Ids of issued waitpoints: pending ones of the execution, rarely others. */
function issuedItems(choices: Choices, world: World, id: string): string[] {
  const known = waitpointsOf(world.dump, id)
  const usable = known.filter(({ state }) => state === 'pending')
  const wanted = choices.one([0, 1, 1, 2, 2])
  // The oldest are over, most often: closed, or of an attempt before this one.
  const isOld = choices.rarely(3)
  const from = isOld ? known.slice(0, wanted) : usable.slice(-wanted)
  const ids = from.map((point) => point.id)
  if (choices.rarely(24)) ids.push(digestOf('nobody'))
  return wanted === 0 ? [] : ids
}

type Suspend = Arguments<'execution.suspend'>

function timing(choices: Choices, nowMs: number) {
  const kind = choices.below(8)
  const atMs = nowMs + choices.one([400, 1, 0, -1, -600_000, -600_001])
  return {
    timeout_at: kind === 5 || kind === 6 ? atMs : undefined,
    timeout_ms: kind <= 3 || kind === 6 ? choices.one([50, 1000, 0, 60_000]) : undefined,
  }
}

function suspending(
  choices: Choices,
  world: World,
  fence: Fence,
  items: readonly string[],
): Suspend {
  const earlier = world.suspensions.at(-1)
  // A backend makes the id from the lease: no other one of the execution comes with it.
  const isFree = earlier?.id !== fence.id || earlier.epoch === fence.epoch
  return {
    ...fence,
    digest: digestOf(`s${choices.below(3)}`),
    ...timing(choices, world.nowMs),
    points: items.join(','),
    behaviour: choices.one(timeoutBehaviours),
    condition: someCondition(choices, items.length),
    suspension:
      earlier !== undefined && isFree && choices.rarely(16)
        ? earlier.suspension
        : digestOf(world.fresh('wait')),
    resume_delay_ms: choices.optional([0, 1, 300], 4),
    reason: choices.one(['waiting_for_signal', 'ü']),
    requested_by: 'worker',
    pointer: choices.optional(['', 'ü\u0000'], 6),
  }
}

export function suspend(choices: Choices, world: World): Step[] {
  const fence = seasonedFence(choices, world)
  const issued = issuedItems(choices, world, fence.id)
  const least = issued.length === 0 ? 1 : 0
  const items = [...issued, ...freshItems(choices, world, least + choices.below(3))]
  const args = suspending(choices, world, fence, items)
  return withKey(choices, world, one({ name: 'execution.suspend', args }))
}

/** Signals to some of the waitpoints, in any order, and now and then one of them again. */
function deliveries(choices: Choices, world: World, points: readonly Target[], most: number) {
  const count = points.length === 0 ? 0 : choices.below(most + 1)
  return Array.from({ length: count }, (): Step[] => {
    const call = deliveryTo(choices, world, choices.one(points))
    return [{ step: 'call', call }, ...(choices.rarely(6) ? [{ step: 'again' } as const] : [])]
  }).flat()
}

/**
 * A whole wait: issued waitpoints get signals before the suspension, all of them some after it, and
 * maybe its time runs out or an operator ends it.
 */
export function episode(choices: Choices, world: World): Step[] {
  const isSure = !choices.rarely(8)
  const fence = isSure ? seasonedFence(choices, world) : world.someFence(choices)
  const { id, attempt } = fence
  const isLate = choices.rarely(5)
  const kid = currentKid(world.dump) ?? firstKid
  const early = Array.from({ length: choices.below(3) }, (_, at) => {
    const { expires_ms, ...args } = creation(choices, world, fence)
    const waitpoint = digestOf(world.fresh('point'))
    return { ...args, waitpoint, key: `e${at}`, kid, expires_ms: isLate ? 1000 : expires_ms }
  })
  const issuedOnes = early.map(
    ({ waitpoint }): Target => ({ id: waitpoint, execution: id, attempt, kid }),
  )
  const created = early.flatMap((args) => one({ name: 'waitpoint.create', args }))
  const fresh = freshItems(choices, world, (early.length === 0 ? 1 : 0) + choices.below(2))
  const freshOnes = fresh.map(
    (item): Target => ({ id: item.slice(0, 22), execution: id, attempt, kid }),
  )
  const items = [...early.map(({ waitpoint }) => waitpoint), ...fresh]
  const args = suspending(choices, world, fence, items)
  const send = (points: readonly Target[], most: number) => deliveries(choices, world, points, most)
  return withKey(choices, world, [
    ...created,
    ...send(issuedOnes, 2),
    ...(isLate ? [{ step: 'jump', toMs: world.nowMs + 1000 } as const] : []),
    ...one({ name: 'execution.suspend', args }),
    ...(choices.rarely(6) ? [{ step: 'again' } as const] : []),
    ...send([...issuedOnes, ...freshOnes], 4),
    ...ending(choices, world, args),
  ])
}

function ending(choices: Choices, world: World, args: Suspend): Step[] {
  const atMs = world.nowMs + (args.timeout_ms ?? 0)
  switch (choices.below(5)) {
    case 3:
      return [
        { step: 'jump', toMs: atMs },
        ...one({ name: 'partition.sweep', args: { count: 100 } }),
      ]
    case 4:
      return resumeOf(choices, world, args.id)
    default:
      return []
  }
}

/** Issues a waitpoint, loses the lease, and suspends on it in the attempt after that. */
export function outlive(choices: Choices, world: World): Step[] {
  const fence = seasonedFence(choices, world)
  const { id } = fence
  const created = { ...creation(choices, world, fence), waitpoint: digestOf(world.fresh('point')) }
  const grant = { id, of: 'leased', grant_id: world.fresh('grant'), worker: 'w1' } as const
  const stem = world.fresh('lease')
  const next: Fence = {
    id,
    attempt: fence.attempt + 1,
    lease_id: `${stem}.1`,
    epoch: Math.max(fence.epoch + 1, world.nowMs * 1000),
  }
  return withKey(choices, world, [
    ...one({ name: 'waitpoint.create', args: created }),
    ...one({ name: 'lease.revoke', args: { id, lease_id: undefined } }),
    ...one({ name: 'lease.grant', args: { ...grant, grant_ms: 1000, capabilities: 'gpu,x,ü' } }),
    ...one({ name: 'lease.claim_granted', args: { ...grant, lease_id: stem, lease_ms: 30_000 } }),
    ...one({
      name: 'execution.suspend',
      args: suspending(choices, world, next, [created.waitpoint]),
    }),
  ])
}

function resumeOf(choices: Choices, world: World, id: string): Step[] {
  const earlier = world.resumeIds.at(-1)
  const isAgain = earlier !== undefined && choices.rarely(5)
  const resume_id = isAgain ? earlier : digestOf(world.fresh('resume'))
  const delay_ms = choices.optional([0, 1, 500], 3)
  return one({ name: 'execution.resume', args: { id, resume_id, delay_ms } })
}

export function resume(choices: Choices, world: World): Step[] {
  return resumeOf(choices, world, world.someId(choices, /^suspended/))
}
