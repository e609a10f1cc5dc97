// Random graphs: growing, spawning, waiting, cancelling, replaying and reading flows.
import { counts, choices as words } from '../../../src/limits.ts'
import type { Arguments } from '../../../src/persistence/contract.ts'
import type {
  EdgePart,
  JoinPart,
  MemberPart,
} from '../../../src/persistence/generated/operations.ts'
import type { Choices } from '../choices.ts'
import type { Call, Step, World } from '../world.ts'
import { digestOf, limitNames, shares, someBytes } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

type Apply = Arguments<'flow.apply'>

function someFlow(choices: Choices, world: World): string {
  const known = world.flowIds()
  if (known.length === 0 || choices.rarely(12)) return '7'.repeat(26)
  // Mostly the newest one, so that graphs grow.
  return choices.rarely(3) ? choices.one(known) : (known.at(-1) as string)
}

function member(choices: Choices, id: string): MemberPart {
  return {
    id,
    lane: choices.one(['a', 'b']),
    task: 'task',
    input: someBytes(choices, choices.one([3, 3, 3, 1100])),
    not_before: undefined,
    delay_ms: choices.optional([500], 6),
    priority: choices.optional([5], 5),
    deadline_at: undefined,
    deadline_ms: choices.optional([3000, 100], 6),
    attempt_timeout_ms: choices.optional([700], 8),
    retention_ms: undefined,
    reclaims_max: choices.optional([0], 6),
    capabilities: choices.optional(['gpu'], 8),
    retry: choices.optional(['3 fixed 1 1 1000 0 tpioc'], 4),
    tags: undefined,
    tagged: choices.optional([`${digestOf('n')}${digestOf('v')}`], 6),
    limit: choices.optional(limitNames, 8),
    share: choices.optional(shares, 8),
    budgets: choices.optional(['b1', 'b1,b2'], 8),
    hold: choices.rarely(5),
  }
}

function join(choices: Choices, downstream: string): JoinPart {
  const policy = choices.one(words.join_policy)
  const isOdd = choices.rarely(12)
  return {
    downstream,
    policy,
    k: (policy === 'quorum') !== isOdd ? choices.one([1, 2, 2, 3]) : undefined,
    remaining: choices.optional(words.join_remaining, 2),
    impossible: choices.optional(words.join_impossible, 2),
    collect: choices.optional(words.join_collect, 2),
  }
}

function edge(choices: Choices, upstream: string, downstream: string): EdgePart {
  const name = choices.optional(['left', 'right'])
  return { upstream, downstream, kind: choices.one(words.edge_kind), name }
}

/** Edges among new members, from older ones to new ones, and some that should be refused. */
function edges(
  choices: Choices,
  world: World,
  known: readonly string[],
  added: readonly string[],
): EdgePart[] {
  const ids = [...known.slice(-6), ...added]
  const found = new Map<string, EdgePart>()
  for (const downstream of added) {
    for (const upstream of ids) {
      const isForward = ids.indexOf(upstream) < ids.indexOf(downstream)
      if (!choices.rarely(isForward ? 3 : 60)) continue
      found.set(upstream + downstream, edge(choices, upstream, downstream))
    }
  }
  if (choices.rarely(4) && ids.length > 1) {
    const downstream = choices.one(ids)
    const upstream = choices.rarely(6) ? world.someId(choices) : choices.one(ids)
    found.set(upstream + downstream, edge(choices, upstream, downstream))
  }
  return [...found.values()]
}

function change(choices: Choices, world: World, flow: string): Apply {
  const known = world.membersOf(flow)
  // More at once than a flow may have.
  const count = choices.rarely(40) ? counts.flowMembersMax + 1 : choices.below(4)
  const added = Array.from({ length: count }, () => world.freshId())
  if (choices.rarely(10) && known.length > 0) added.push(choices.one(known))
  if (choices.rarely(20)) added.push(world.someId(choices))
  const members = [...new Set(added)]
  const joined = members.filter(() => choices.rarely(2))
  if (choices.rarely(8) && known.length > 0) joined.push(choices.one(known))
  const sealed = [...known, ...members].filter(() => choices.rarely(5))
  return {
    flow,
    members: members.map((id) => member(choices, id)),
    joins: [...new Set(joined)].map((id) => join(choices, id)),
    edges: edges(choices, world, known, members),
    seal: sealed.length === 0 ? undefined : sealed.join(','),
    finish: choices.rarely(3),
    parent: undefined,
    attempt: undefined,
    lease_id: undefined,
    epoch: undefined,
    ...unsaid,
  }
}

const unsaid = {
  kind: undefined,
  failure: undefined,
  completion: undefined,
  root: undefined,
  retention_ms: undefined,
  tags: undefined,
}

function beginning(choices: Choices, world: World) {
  const isRoot = choices.rarely(5)
  return {
    kind: choices.rarely(20) ? undefined : 'kind',
    failure: choices.optional(words.flow_failure),
    completion: isRoot ? ('root' as const) : undefined,
    root: isRoot && !choices.rarely(6) ? world.someId(choices) : undefined,
    retention_ms: choices.optional([0, 60_000]),
    tags: choices.optional(['{"a":"b"}'], 5),
  }
}

/** A flow begins, mostly with its first members. */
export function createFlow(choices: Choices, world: World): Step[] {
  const flow = choices.rarely(4) ? someFlow(choices, world) : world.freshId()
  const isEmpty = choices.rarely(3)
  const empty = { members: [], joins: [], edges: [], seal: undefined, finish: false }
  const first = { ...change(choices, world, flow), ...(isEmpty ? empty : {}) }
  return one({ name: 'flow.apply', args: { ...first, ...beginning(choices, world) } })
}

export function applyGraph(choices: Choices, world: World): Step[] {
  const flow = someFlow(choices, world)
  return one({ name: 'flow.apply', args: change(choices, world, flow) })
}

/** A running parent adds children that it may wait for; the flow may be made for it. */
export function spawn(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const own = world.records.get(fence.id)?.flow
  const isNew = own === undefined && choices.rarely(2)
  const other = isNew ? world.freshId() : someFlow(choices, world)
  const flow = own === undefined || choices.rarely(10) ? other : own
  const begin = isNew ? beginning(choices, world) : {}
  const args = { ...change(choices, world, flow), ...begin }
  const children = args.members.map(({ id }) => edge(choices, id, fence.id))
  const held = { attempt: fence.attempt, lease_id: fence.lease_id, epoch: fence.epoch }
  const lost = choices.rarely(12) ? { lease_id: undefined } : {}
  const call = { ...args, edges: [...args.edges, ...children], parent: fence.id, ...held, ...lost }
  const steps = one({ name: 'flow.apply', args: call })
  return choices.rarely(3) ? steps : [...steps, ...waiting(choices, fence)]
}

function waiting(choices: Choices, fence: ReturnType<World['someFence']>): Step[] {
  const policy = choices.optional(words.join_policy)
  return one({
    name: 'execution.wait_children',
    args: {
      ...fence,
      digest: digestOf(`w${choices.below(2)}`),
      policy,
      k: policy === 'quorum' ? choices.one([1, 2, 9]) : undefined,
      impossible: choices.optional(words.join_impossible),
      collect: choices.optional(words.join_collect),
      seen: choices.optional([0, 1, 2]),
    },
  })
}

export function waitChildren(choices: Choices, world: World): Step[] {
  return waiting(choices, world.someFence(choices))
}

/** Whether every member of a flow has ended. */
function isOver(world: World, flow: string): boolean {
  const states = world.membersOf(flow).map((id) => world.records.get(id)?.state ?? '')
  return states.length > 0 && states.every((state) => state.startsWith('terminal'))
}

export function cancelFlow(choices: Choices, world: World): Step[] {
  const policy = choices.one(words.cancel_policy)
  const why = choices.one(['', 'enough'])
  const over = world.flowIds().filter((id) => isOver(world, id))
  const isLate = over.length > 0 && !choices.rarely(3)
  const flow = isLate ? choices.one(over) : someFlow(choices, world)
  return one({ name: 'flow.cancel', args: { flow, policy, why } })
}

/** Ends a flow with its only member, and cancels it then. */
export function cancelLate(choices: Choices, world: World): Step[] {
  const [flow, id] = [world.freshId(), world.freshId()]
  const policy = choices.one(words.cancel_policy)
  const first = { kind: 'kind', members: [member(choices, id)], joins: [], edges: [] }
  const args = { ...change(choices, world, flow), ...first }
  return [
    { name: 'flow.apply', args: { ...args, seal: undefined, finish: true } },
    { name: 'execution.cancel_by_operator', args: { id, why: 'late' } },
    { name: 'flow.cancel', args: { flow, policy, why: '' } },
  ].flatMap((call) => one(call as Call))
}

/** One that came to nothing through another is replayed, and their edge is asked for otherwise. */
export function insist(choices: Choices, world: World): Step[] {
  const [flow, upstream, downstream] = [world.freshId(), world.freshId(), world.freshId()]
  const members = [upstream, downstream].map((id) => member(choices, id))
  const needed = { ...edge(choices, upstream, downstream), kind: 'success' } as const
  const others = [{ ...needed, kind: 'completion' } as const, { ...needed, name: 'other' }]
  const args = { ...change(choices, world, flow), members, joins: [], edges: [needed] }
  const again = { ...args, members: [], edges: [choices.one([...others, needed])], finish: false }
  const calls: Call[] = [
    { name: 'flow.apply', args: { ...args, kind: 'kind', seal: downstream, finish: false } },
    { name: 'flow.apply', args: { ...again, seal: undefined } },
    { name: 'execution.cancel_by_operator', args: { id: upstream, why: 'needed' } },
    {
      name: 'execution.replay',
      args: { id: downstream, replay_id: world.fresh('replay'), reopen: choices.rarely(3) },
    },
  ]
  return calls.flatMap(one)
}

export function replayInFlow(choices: Choices, world: World): Step[] {
  const id = world.someId(choices, choices.rarely(3) ? /^terminal.skipped/ : /^terminal/)
  const earlier = world.records.get(id)?.replay_id
  const isAgain = earlier !== undefined && choices.rarely(4)
  const replay_id = isAgain ? earlier : world.fresh('replay')
  return choices.rarely(2)
    ? one({ name: 'execution.replay', args: { id, replay_id, reopen: true } })
    : one({ name: 'flow.replay', args: { id, replay_id } })
}

export function drain(choices: Choices): Step[] {
  const again = choices.rarely(3)
  return one({ name: 'partition.drain', args: { count: choices.one([1, 5, 1000]), again } })
}

export function purgeFlow(choices: Choices, world: World): Step[] {
  return one({ name: 'flow.purge', args: { flow: someFlow(choices, world) } })
}

/** Both ends of edges that somebody has asked for in a flow. */
function asked(world: World, flow: string) {
  return world.calls.flatMap((call) =>
    call.name === 'flow.apply' && call.args.flow === flow ? call.args.edges : [],
  )
}

/** Reads of everything that there is about graphs. */
export function lookAtFlows(choices: Choices, world: World): Step[] {
  const flow = someFlow(choices, world)
  const known = world.membersOf(flow)
  const id = known.length > 0 && !choices.rarely(8) ? choices.one(known) : world.someId(choices)
  const made = asked(world, flow)
  const between = made.length > 0 ? choices.one(made) : { upstream: id, downstream: id }
  const { upstream, downstream } = between
  const count = choices.one([0, 2, 1000])
  const after = choices.optional([id])
  const from = choices.one([0, 1])
  const direction = choices.one(words.edge_direction)
  const calls: readonly Call[] = [
    { name: 'flow.describe', args: { flow } },
    { name: 'flow.list', args: { after: choices.optional([flow]), count } },
    { name: 'flow.members', args: { flow, after, count } },
    { name: 'edge.list', args: { id, direction, after: from, count } },
    { name: 'edge.describe', args: { flow, upstream, downstream } },
    { name: 'execution.flow', args: { id } },
    { name: 'execution.inputs', args: { id, after: from, count } },
  ]
  return [choices.one(calls), choices.one(calls)].flatMap(one)
}
