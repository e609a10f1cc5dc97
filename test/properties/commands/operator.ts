// Random commands of operators, schedulers and readers.
import type { Choices } from '../choices.ts'
import { type Call, lanes, type Step, type World } from '../world.ts'
import { tagPairs } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]
const reasons = ['held', 'held', 'other']

export function cancelByOperator(choices: Choices, world: World): Step[] {
  const id = world.someId(choices)
  return one({ name: 'execution.cancel_by_operator', args: { id, why: 'no longer wanted' } })
}

export function reprioritize(choices: Choices, world: World): Step[] {
  const id = world.someId(choices, /^(runnable|delayed)/)
  return one({ name: 'execution.reprioritize', args: { id, priority: choices.one([0, 5, 9000]) } })
}

export function replay(choices: Choices, world: World): Step[] {
  const id = world.someId(choices, /^terminal/)
  const earlier = world.records.get(id)?.replay_id
  const isAgain = earlier !== undefined && choices.rarely(4)
  const replay_id = isAgain ? earlier : world.fresh('replay')
  return one({ name: 'execution.replay', args: { id, replay_id, reopen: false } })
}

/** Ends and replays one execution again and again: more often than chance would. */
export function replayOften(choices: Choices, world: World): Step[] {
  const id = world.someId(choices)
  const times = choices.one([2, 12])
  const steps: Step[] = []
  for (let time = 0; time < times; time++) {
    const replay_id = world.fresh('replay')
    steps.push(...one({ name: 'execution.cancel_by_operator', args: { id, why: 'again' } }))
    steps.push(...one({ name: 'execution.replay', args: { id, replay_id, reopen: false } }))
  }
  return steps
}

export function block(choices: Choices, world: World): Step[] {
  const id = world.someId(choices, /^(runnable|delayed)/)
  return one({ name: 'execution.block', args: { id, why: choices.one(reasons) } })
}

export function unblock(choices: Choices, world: World): Step[] {
  const id = world.someId(choices, /^runnable\.blocked/)
  return one({ name: 'execution.unblock', args: { id, why: choices.one(reasons) } })
}

export function purge(choices: Choices, world: World): Step[] {
  return one({ name: 'execution.purge', args: { id: world.someId(choices, /^terminal/) } })
}

export function setLaneState(choices: Choices): Step[] {
  const state = choices.one(['active', 'active', 'paused', 'draining'])
  return one({
    name: 'lane.set_state',
    args: { lane: choices.one([...lanes, '__proto__']), state },
  })
}

export function sweep(choices: Choices): Step[] {
  return one({ name: 'partition.sweep', args: { count: choices.one([1000, 1, 2]) } })
}

export function open(choices: Choices): Step[] {
  return one({ name: 'partition.open', args: { partitions: choices.one([1, 2]) } })
}

export function watch(choices: Choices, world: World): Step[] {
  return one({ name: 'execution.watch', args: { id: world.someId(choices) } })
}

function search(choices: Choices, world: World): Step[] {
  const [named, tag] = choices.one(tagPairs)
  const states = ['suspended', 'runnable.ready,delayed.start', 'leased.held', 'terminal.cancelled']
  return one({
    name: 'partition.search',
    args: {
      after: choices.optional([world.someId(choices)], 3),
      count: choices.one([1000, 1, 2, 5]),
      look: choices.one([1000, 1, 3, 10]),
      tag: choices.optional([tag, tag.replace('1', '9')], 3),
      named: choices.optional([named, named.replace('a', 'z')], 4),
      states: choices.optional(states, 3),
      lane: choices.optional(lanes, 4),
      task: choices.optional(['task', 'aufgabe-ü'], 4),
      created_from: choices.optional([world.nowMs, world.nowMs - 500, 0], 5),
      created_to: choices.optional([world.nowMs, world.nowMs - 500, world.nowMs + 1], 5),
      flow: choices.optional(['f'.repeat(26)], 9),
    },
  })
}

export function look(choices: Choices, world: World): Step[] {
  switch (choices.below(4)) {
    case 0:
      return one({ name: 'execution.describe', args: { id: world.someId(choices) } })
    case 1:
      return one({ name: 'lane.list', args: {} })
    case 2:
      return search(choices, world)
    default: {
      const after = choices.optional([world.someId(choices)], 2)
      return one({ name: 'partition.list', args: { after, count: choices.one([1000, 0, 1, 3]) } })
    }
  }
}
