// Draws the steps of a sequence: new commands, lost answers, old calls again, jumps of the clock.
import fc from 'fast-check'
import { again, command } from './commands.ts'
import { Draw } from './draw.ts'
import type { Call } from './observation.ts'
import type { NextPlan, Plan } from './sequence.ts'
import type { World } from './world.ts'

/** How many of a hundred steps repeat the one before, repeat an old call, or move the clock. */
const repeats = 12
const duplicates = 6
const jumps = 35

/** How many of a hundred steps make several calls in one tick. */
const batches = 10

export const stepsMax = 50

/** The random numbers behind the steps of one sequence. */
export const numbersOfSequence: fc.Arbitrary<readonly (readonly number[])[]> = fc.array(
  fc.array(fc.nat({ max: 2 ** 30 }), { minLength: 24, maxLength: 24, size: 'max' }),
  { minLength: stepsMax, maxLength: stepsMax, size: 'max' },
)

/** Mostly forward: to a time at which something is due, beside it, a little on, or far ahead. */
function nextTime(draw: Draw, world: World): number {
  const { nowMs } = world
  const coming = world.dueTimes().filter((atMs) => atMs > nowMs && atMs < nowMs + 1e11)
  const dueMs = draw.any(coming)
  if (dueMs !== undefined && draw.chance(75)) return Math.max(nowMs, dueMs + draw.one([0, 1, -1]))
  // A server's clock may be set back a little.
  if (draw.chance(4)) return nowMs - 1 - draw.below(50)
  if (draw.chance(4)) return nowMs + 10 ** draw.one([6, 8, 10])
  return nowMs + draw.below(400)
}

/** A submission that is repeated after its execution was purged would make it once more. */
function mayRepeat(call: Call, world: World): boolean {
  return call.name !== 'execution.submit' || !world.gone.has(call.args.id)
}

function plan(draw: Draw, world: World, last: Plan | undefined): Plan {
  const { nowMs } = world
  if (last !== undefined && draw.chance(repeats)) {
    if (last.calls.every((call) => mayRepeat(call, world))) {
      return { nowMs, calls: last.calls.map(again), isRepeat: true }
    }
  }
  const laterMs = draw.chance(jumps) ? nextTime(draw, world) : nowMs
  if (draw.chance(duplicates)) {
    const call = draw.any(world.calls.filter((old) => mayRepeat(old, world)))
    if (call !== undefined) return { nowMs: laterMs, calls: [again(call)], isRepeat: false }
  }
  const count = draw.chance(batches) ? 2 + draw.below(3) : 1
  const calls = Array.from({ length: count }, () => command(draw, world))
  return { nowMs: laterMs, calls, isRepeat: false }
}

/** Steps as the numbers say. */
export function drawn(numbers: readonly (readonly number[])[]): NextPlan {
  const rest = numbers[Symbol.iterator]()
  return (world, last) => {
    const { value, done } = rest.next()
    return done === true ? undefined : plan(new Draw(value), world, last)
  }
}

/** The steps that are listed. */
export function listed(plans: readonly Plan[]): NextPlan {
  const rest = plans[Symbol.iterator]()
  return () => rest.next().value
}
