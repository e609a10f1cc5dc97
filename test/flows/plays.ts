// Random plays: what happens to the nodes of a flow, decided by numbers from what is the case.
import { Choices, type Seed } from '../properties/choices.ts'
import type { Play, Situation } from './driver.ts'
import type { Graph } from './graphs.ts'
import {
  type ApplyPlan,
  cancelPolicies,
  endings,
  type FlowEvent,
  type HolderVerb,
  type JoinPlan,
  type NodeState,
} from './vocabulary.ts'

/** What a play remembers from one decision to the next. */
interface Memory {
  readonly applies: ApplyPlan[]
  spawned: number
}

type Decide = (at: Situation, choices: Choices, memory: Memory) => readonly FlowEvent[]

/** The flow is made first; the graph comes by and by, between the events. */
export function playsOf({ flow, applies }: Graph, seeds: readonly Seed[]): readonly Play[] {
  const memory: Memory = { applies: [...applies], spawned: 0 }
  const create: Play = () => [{ do: 'create', flow }, ...build(0, memory)]
  const decided = seeds.map((seed): Play => {
    const decide = decisions[seed.kind % decisions.length] as Decide
    return (at) => decide(at, new Choices(seed), memory)
  })
  return [create, ...decided, () => build(memory.applies.length, memory), letGo]
}

function build(count: number, { applies }: Memory): FlowEvent[] {
  const [first, ...more] = applies.splice(0, count + 1)
  return [first ?? [], more].flat().map((apply) => ({ do: 'apply', apply }))
}

function namesIn({ view }: Situation, ...states: readonly NodeState[]): string[] {
  return Object.keys(view.nodes).filter((name) => states.includes(view.nodes[name] as NodeState))
}

const unfinished = ({ view }: Situation) =>
  Object.keys(view.nodes).filter((name) => !endings.has(view.nodes[name] as NodeState))

const someOf = (names: readonly string[], choices: Choices) =>
  names.length === 0 ? [] : [choices.one(names)]

function claimable(at: Situation): string[] {
  return namesIn(at, 'waiting', 'active').filter((name) => !at.view.held.includes(name))
}

/** Starts some nodes and ends some that run, most of them well. */
const work: Decide = (at, choices) => {
  const events: FlowEvent[] = []
  const waiting = claimable(at)
  const most = choices.one([1, 1, 2, 40])
  for (let count = 0; count < most && waiting.length > 0; count++) {
    const [node = ''] = waiting.splice(choices.below(waiting.length), 1)
    events.push({ do: 'start', node })
    if (!choices.rarely(3)) events.push({ do: endOf(choices), node })
  }
  return events
}

const endOf = (choices: Choices): HolderVerb =>
  choices.one(['complete', 'complete', 'complete', 'complete', 'fail', 'fail', 'cancel', 'retry'])

const finish: Decide = (at, choices) =>
  someOf(at.view.held, choices).map((node) => ({ do: endOf(choices), node }))

const rest: Decide = (at, choices) =>
  someOf(at.view.held, choices).map((node) => ({
    do: choices.one(['delay', 'suspend', 'retry'] as const),
    node,
  }))

/** A running node adds children, and mostly waits for them. */
const spawn: Decide = (at, choices, memory) =>
  someOf(at.view.held, choices).flatMap((node): FlowEvent[] => {
    const children = Array.from({ length: choices.below(4) }, () => `c${memory.spawned++}`)
    const kind = choices.one(['success', 'success', 'completion'] as const)
    const edges = children.map((up) => ({ up, down: node, kind }))
    const ahead = choices.rarely(4) ? children.slice(1).map((down) => ({ up: node, down })) : []
    const apply = {
      nodes: children.map((name) => ({ name })),
      edges: [...edges.filter(({ up }) => !ahead.some(({ down }) => down === up)), ...ahead],
    }
    const added: FlowEvent = { do: 'spawn', node, apply }
    return choices.rarely(3) ? [added] : [added, { do: 'wait', node, join: joinOf(choices) }]
  })

function joinOf(choices: Choices): JoinPlan {
  const policy = choices.one(['all', 'all', 'any', 'quorum'] as const)
  return {
    policy,
    ...(policy === 'quorum' ? { k: 1 } : {}),
    impossible: choices.one(['resume', 'fail'] as const),
    collect: choices.one(['all', 'first'] as const),
  }
}

const wait: Decide = (at, choices) =>
  someOf(at.view.held, choices).map((node) => ({ do: 'wait', node, join: joinOf(choices) }))

const operate: Decide = (at, choices) => {
  switch (choices.below(5)) {
    case 0:
      return someOf(unfinished(at), choices).map((node) => ({ do: 'stop', node }))
    case 1:
      return someOf(namesIn(at, 'waiting', 'delayed'), choices).map((node) => ({
        do: 'block',
        node,
      }))
    case 2:
      return someOf(namesIn(at, 'blocked'), choices).map((node) => ({ do: 'unblock', node }))
    case 3:
      return someOf(namesIn(at, 'suspended'), choices).map((node) => ({ do: 'resume', node }))
    default:
      return someOf(at.view.held, choices).map((node) => ({ do: 'revoke', node }))
  }
}

const replay: Decide = (at, choices) => {
  const ended = Object.keys(at.view.nodes).filter((name) => endings.has(at.view.nodes[name]!))
  const bad = ended.filter((name) => at.view.nodes[name] !== 'completed')
  return someOf(choices.rarely(2) && bad.length > 0 ? bad : ended, choices).map((node) =>
    choices.rarely(3)
      ? { do: 'replaySubgraph', node }
      : { do: 'replay', node, reopen: choices.rarely(2) },
  )
}

const cancelFlow: Decide = (at, choices) =>
  unfinished(at).length > 0 && choices.rarely(4)
    ? [{ do: 'cancelFlow', policy: choices.one(cancelPolicies) }]
    : []

/** Calls that ought to be refused, or to change nothing. */
const offend: Decide = (at, choices) => {
  const names = Object.keys(at.view.nodes)
  const [node = ''] = someOf(names, choices)
  const [other = ''] = someOf(names, choices)
  if (names.length === 0) return []
  switch (choices.below(4)) {
    case 0:
      return [{ do: 'apply', apply: { edges: [{ up: node, down: other, name: 'another' }] } }]
    case 1:
      return [{ do: 'start', node }]
    case 2:
      return at.view.held.includes(node) ? [] : [{ do: 'complete', node }]
    default:
      return [{ do: 'apply', apply: { seal: [node] } }]
  }
}

const trouble: Decide = (_at, choices) => {
  const events: readonly FlowEvent[] = [
    { do: 'again' },
    { do: 'forget' },
    { do: 'pause' },
    { do: 'drain' },
    { do: 'pause' },
    { do: 'pause', rash: true },
  ]
  return [choices.one(events)]
}

const pass: Decide = () => [{ do: 'tick' }]
const grow: Decide = (_at, choices, memory) => build(choices.below(2), memory)

/** Each as often as it stands here. */
const decisions: readonly Decide[] = [
  ...[work, work, work, work, finish, finish, grow, grow, grow, rest, spawn, spawn, wait],
  ...[operate, operate, replay, pass, trouble, trouble, offend, cancelFlow],
]

export const decisionCount = decisions.length

/** Lets go whatever was held back, and does all that can be done: nothing may be left then. */
const letGo: Play = (at) => [
  { do: 'drain' },
  ...namesIn(at, 'blocked').map((node): FlowEvent => ({ do: 'unblock', node })),
  ...namesIn(at, 'suspended').map((node): FlowEvent => ({ do: 'resume', node })),
  { do: 'apply', apply: { seal: [...at.unsealed], finish: true } },
]

/** Once more for everything that can be done. */
export const doAll: Play = (at) => {
  if (unfinished(at).length === 0 || at.view.state !== 'open') return []
  const held = at.view.held.map((node): FlowEvent => ({ do: 'complete', node }))
  const started = claimable(at).map((node): FlowEvent => ({ do: 'start', node }))
  if (held.length + started.length + namesIn(at, 'delayed').length === 0) return []
  return [{ do: 'tick' }, ...held, ...started]
}
