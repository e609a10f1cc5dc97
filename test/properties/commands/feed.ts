// Random commands of those who follow the feed, or decide how much of it is kept.
import type { Choices } from '../choices.ts'
import type { Call, Step, World } from '../world.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

/** Where somebody once read on, a little beside it, the beginning, or far behind the end. */
function somePlace(choices: Choices, { places }: World): number {
  const known = places.at(-1 - choices.below(Math.max(1, places.length))) ?? 0
  return Math.max(0, known + choices.one([0, 0, 0, 1, -26, -known, 1_000_000]))
}

export function readEvents(choices: Choices, world: World): Step[] {
  const place = choices.rarely(4) ? undefined : somePlace(choices, world)
  return one({ name: 'partition.events', args: { place } })
}

export function followEvents(choices: Choices, world: World): Step[] {
  return one({ name: 'partition.follow', args: { place: somePlace(choices, world) } })
}

export function keepEvents(choices: Choices): Step[] {
  const bytes = choices.one([0, 20_000, 40_000])
  return one({ name: 'partition.keep_events', args: { bytes, ms: choices.one([0, 3_600_000]) } })
}

/** So many events that segments are sealed. */
export function manyEvents(choices: Choices, world: World): Step[] {
  const id = world.someId(choices, /^(runnable|delayed)/)
  const why = 'w'.repeat(64)
  return Array.from({ length: choices.one([2, 70]) }).flatMap(() => [
    ...one({ name: 'execution.block', args: { id, why } }),
    ...one({ name: 'execution.unblock', args: { id, why } }),
  ])
}
