// Random claims, grants and what else there is about leases.
import type { Arguments } from '../../../src/persistence/contract.ts'
import type { Choices } from '../choices.ts'
import { type Call, capabilities, lanes, type Step, type World, workers } from '../world.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

const everyLane = lanes.join(',')
const laneSets = [everyLane, everyLane, everyLane, ...lanes, `${lanes[0]},${lanes[1]}`, 'nowhere']
const kindSets = ['frc', 'frc', 'frc', 'frc', 'f', 'r', 'c', 'cf']
const leaseLengths = [100, 1000, 30_000]

export function claim(choices: Choices, world: World): Step[] {
  const isAgain = world.leaseStems.length > 0 && choices.rarely(10)
  return one({
    name: 'lease.claim',
    args: {
      lanes: choices.one(laneSets),
      capabilities: choices.one(['gpu,x,ü', 'gpu,x,ü', 'gpu,x,ü', ...capabilities]),
      kinds: choices.one(kindSets),
      count: 1 + choices.below(3),
      worker: choices.one(workers),
      lease_id: isAgain ? choices.one(world.leaseStems) : world.fresh('lease'),
      lease_ms: choices.one(leaseLengths),
      sleep_ms: choices.optional([100, 5000]),
    },
  })
}

export function find(choices: Choices, world: World): Step[] {
  const lease_id = world.leaseStems.length > 0 ? choices.one(world.leaseStems) : 'none'
  return one({ name: 'lease.find', args: { lease_id, count: 1 + choices.below(3) } })
}

const lost = /^leased\.[er]/
const resumed = /^runnable\.resumed/
const ready = /^runnable\.ready/

function granting(choices: Choices, world: World, wanted: readonly RegExp[]) {
  const id = world.someId(choices, choices.one(wanted))
  const isLeased = world.records.get(id)?.state?.startsWith('leased.') ?? false
  const args: Arguments<'lease.grant'> = {
    id,
    of: isLeased !== choices.rarely(8) ? 'leased' : 'runnable',
    grant_id: world.fresh('grant'),
    worker: choices.one(workers),
    grant_ms: choices.one([1000, 1, 50, 60_000]),
    capabilities: choices.one(['gpu,ü,x', 'gpu,ü,x', ...capabilities]),
  }
  return args
}

export function grant(choices: Choices, world: World): Step[] {
  return one({ name: 'lease.grant', args: granting(choices, world, [lost, resumed, ready]) })
}

/** Grants an execution and claims it at once, or when the grant has just run out. */
export function grantAndClaim(choices: Choices, world: World): Step[] {
  const known = [lost, resumed].filter((state) => world.idsIn(state).length > 0)
  const args = granting(choices, world, known.length > 0 ? known : [ready])
  const { id, of, grant_id, worker, grant_ms } = args
  const rest = { lease_id: world.fresh('lease'), lease_ms: choices.one(leaseLengths) }
  const call: Call = { name: 'lease.claim_granted', args: { id, of, grant_id, worker, ...rest } }
  const late: Step[] = [{ step: 'jump', toMs: world.nowMs + grant_ms }]
  return [
    ...one({ name: 'lease.grant', args }),
    ...(choices.rarely(4) ? late : []),
    ...one(call),
    ...(choices.rarely(3) ? [again] : []),
  ]
}

const again: Step = { step: 'again' }

export function claimGranted(choices: Choices, world: World): Step[] {
  const { grants } = world
  if (grants.length === 0 && !choices.rarely(6)) return grant(choices, world)
  // Mostly one of the latest: the others are over.
  const remembered = grants.at(-1 - choices.below(Math.min(4, Math.max(1, grants.length))))
  const known = remembered ?? { id: '7'.repeat(26), of: 'runnable', grant_id: 'g', worker: 'w1' }
  const { id, of, grant_id, worker } = known
  return one({
    name: 'lease.claim_granted',
    args: {
      id: choices.rarely(10) ? world.someId(choices) : id,
      of: choices.rarely(6) ? choices.one(['runnable', 'leased']) : of,
      grant_id: choices.rarely(8) ? 'other' : grant_id,
      worker: choices.rarely(8) ? choices.one(workers) : worker,
      lease_id: world.fresh('lease'),
      lease_ms: choices.one(leaseLengths),
    },
  })
}

export function renew(choices: Choices, world: World): Step[] {
  return one({ name: 'lease.renew', args: world.someFence(choices) })
}

export function revoke(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const lease_id = choices.one([undefined, fence.lease_id, 'another'])
  return one({
    name: 'lease.revoke',
    args: { id: choices.rarely(3) ? world.someId(choices) : fence.id, lease_id },
  })
}
