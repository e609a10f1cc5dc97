// Random limits: set, raised, lowered, paused, removed, and looked at.
import type { Choices } from '../choices.ts'
import type { Call, Step, World } from '../world.ts'
import { digestOf, limitNames, plainWork, shares } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

export function setLimit(choices: Choices): Step[] {
  const args = {
    limit: choices.one(limitNames),
    slots: choices.one([1, 1, 2, 3, 0]),
    starts: choices.one([0, 0, 1, 3]),
    window_ms: choices.one([200, 5000]),
    per_key: choices.one([false, true]),
    partitions: 1,
  }
  return one({ name: 'limit.set', args })
}

export function removeLimit(choices: Choices): Step[] {
  return one({ name: 'limit.remove', args: { limit: choices.one(limitNames) } })
}

export function pauseLimit(choices: Choices, world: World): Step[] {
  const args = {
    limit: choices.one(limitNames),
    key: choices.optional(shares, 2),
    until_ms: choices.one([world.nowMs + 100, world.nowMs + 5000, world.nowMs, 0, undefined]),
    for_ms: choices.optional([0, 300], 4),
  }
  return one({ name: 'limit.pause', args })
}

export function lookAtLimits(choices: Choices): Step[] {
  if (choices.rarely(4)) return one({ name: 'limit.list', args: {} })
  const args = { limit: choices.one(limitNames), key: choices.optional(shares, 2) }
  return one({ name: 'limit.describe', args })
}

const oneSlot = 'one-slot'

/** Several want the one slot of a limit: by a claim, by a grant, and after it was given back. */
export function contend(choices: Choices, world: World): Step[] {
  const lane = world.fresh('contended')
  const [first, second] = [world.freshId(), world.freshId()]
  const [lease, next, grant_id] = [world.fresh('lease'), world.fresh('lease'), world.fresh('grant')]
  const limit = { limit: oneSlot, slots: 1, starts: 0, window_ms: 1000, per_key: false }
  const add = (id: string): Step[] => {
    const share = choices.optional(shares, 2)
    const input = new Uint8Array(1)
    return one({
      name: 'execution.submit',
      args: plainWork(id, { lane, share, input, limit: oneSlot }),
    })
  }
  const lasting = { worker: 'w1', lease_ms: 30_000 }
  const claim = (lease_id: string, count: number): Step[] => {
    const args = { lanes: lane, capabilities: '', kinds: 'frc', count, lease_id, ...lasting }
    return one({ name: 'lease.claim', args: { ...args, sleep_ms: undefined } })
  }
  const granted = { id: first, of: 'runnable', grant_id, worker: 'w1' }
  const fence = { id: first, attempt: 0, lease_id: `${lease}.1`, epoch: world.nowMs * 1000 }
  const digest = digestOf('contend')
  return [
    ...one({ name: 'limit.set', args: { ...limit, partitions: 1 } }),
    ...add(first),
    ...claim(lease, 1),
    ...one({ name: 'execution.delay', args: { ...fence, digest, until_ms: world.nowMs } }),
    ...add(second),
    ...one({ name: 'lease.grant', args: { ...granted, grant_ms: 60_000, capabilities: '' } }),
    ...claim(next, 1),
    ...one({ name: 'lease.claim_granted', args: { ...granted, ...lasting, lease_id: 'granted' } }),
    ...Array.from({ length: choices.below(4) }, () => add(world.freshId())).flat(),
    ...claim(world.fresh('lease'), 3),
  ]
}

const partitions = [1, 2] as const

/** A request of another partition: mostly one of a few, so that they are repeated and mixed up. */
function request(choices: Choices) {
  const number = choices.below(3)
  return {
    limit: choices.one([...limitNames, oneSlot, oneSlot]),
    key: choices.optional(shares, 3),
    // An execution keeps its key.
    share: [undefined, 'a', 'b'][number],
    partition: choices.one(partitions),
    id: String(number).repeat(26),
    ticket: 1 + choices.below(3),
  }
}

export function acquireSlot(choices: Choices, world: World): Step[] {
  const created_at = world.nowMs - choices.below(3)
  const priority = choices.one([0, 0, 9000])
  return one({ name: 'limit.acquire', args: { ...request(choices), created_at, priority } })
}

export function releaseSlot(choices: Choices): Step[] {
  return one({ name: 'limit.release', args: { ...request(choices), began: choices.rarely(2) } })
}

/** What the relay does between the partitions, and what may come late. */
export function relay(choices: Choices, world: World): Step[] {
  const rows = [...(world.dump.get('owed')?.value ?? [])].map(([row]) => String(row))
  if (rows.length > 0 && choices.rarely(2)) {
    return one({ name: 'limit.settle', args: { row: choices.one(rows) } })
  }
  if (choices.rarely(4)) {
    const { limit, key, ticket } = request(choices)
    return one({ name: 'limit.admit', args: { id: world.someId(choices), limit, key, ticket } })
  }
  if (choices.rarely(8)) return one({ name: 'limit.settle', args: { row: 'ask 1 api - x:1' } })
  return one({ name: 'limit.owed', args: { count: choices.one([1000, 1]) } })
}
