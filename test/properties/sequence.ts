// Plays a sequence of commands on the model: what was called when, what it answered and stored.
import { isEngineError } from '../../src/errors.ts'
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../src/persistence/embedded/embedded-store.ts'
import type { Store, StoreNotice } from '../../src/persistence/store.ts'
import { dumpText, sha1 } from '../support/canonical.ts'
import { settableProcessClock, startMs } from '../support/settable-clock.ts'
import { again, command } from './commands.ts'
import { Draw } from './draw.ts'
import { type Call, type Checker, type Outcome, Stored, type Step } from './observation.ts'
import { World } from './world.ts'

/** The random numbers behind one step; nothing at all makes a step that does not happen. */
export type Numbers = readonly number[] | null

/** A step, and what the stored state looks like after it. */
export interface PlayedStep extends Step {
  readonly digest: string
}

export interface Played {
  readonly steps: readonly PlayedStep[]
  readonly notices: readonly StoreNotice[]
}

/** How many of a hundred steps repeat the one before, repeat an old call, or move the clock. */
const repeats = 12
const duplicates = 6
const jumps = 35

/** Makes one call through the store's own interface. */
export async function outcomeOf(store: Store, { name, args }: Call): Promise<Outcome> {
  try {
    return { answer: await store.call(0, name, args as never) }
  } catch (error) {
    if (isEngineError(error)) return { thrown: `${error.code} ${error.message}` }
    throw error
  }
}

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

function callsOf(draw: Draw, world: World, last: Step | undefined) {
  if (last !== undefined && draw.chance(repeats)) {
    if (last.calls.every((call) => mayRepeat(call, world))) {
      return { calls: last.calls.map(again), isRepeat: true }
    }
  }
  if (draw.chance(duplicates)) {
    const call = draw.any(world.calls.filter((old) => mayRepeat(old, world)))
    if (call !== undefined) return { calls: [again(call)], isRepeat: false }
  }
  const count = draw.chance(10) ? 2 + draw.below(3) : 1
  return { calls: Array.from({ length: count }, () => command(draw, world)), isRepeat: false }
}

/** Plays the steps one after the other; every checker sees each of them. */
export async function play(
  numbers: readonly Numbers[],
  checkers: readonly Checker[],
  describe: (steps: readonly Step[]) => string,
): Promise<Played> {
  const clock = settableProcessClock()
  const store = await openEmbeddedStore({ clock })
  const notices: StoreNotice[] = []
  await store.listen((notice) => void notices.push(notice))
  const world = new World(startMs, new Stored(store.dump()))
  const steps: PlayedStep[] = []
  for (const each of numbers) {
    if (each === null) continue
    const draw = new Draw(each)
    const last = steps.at(-1)
    const { calls, isRepeat } = callsOf(draw, world, last)
    if (!isRepeat && draw.chance(jumps)) {
      world.nowMs = nextTime(draw, world)
      await clock.set(world.nowMs)
    }
    const step = await playStep(store, world, calls, isRepeat)
    steps.push(step)
    for (const check of checkers) {
      const problem = check(step)
      if (problem !== undefined) throw new Error(`${problem}\n${describe(steps)}`)
    }
  }
  // Notices are told after the answers, in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve))
  return { steps, notices }
}

async function playStep(
  store: EmbeddedStore,
  world: World,
  calls: readonly Call[],
  isRepeat: boolean,
): Promise<PlayedStep> {
  const before = world.stored
  // Calls of one tick travel together and see each other's changes in order.
  const outcomes = await Promise.all(calls.map((call) => outcomeOf(store, call)))
  const after = new Stored(store.dump())
  world.learn(calls, outcomes, after)
  const digest = sha1(dumpText(after.dump))
  return { nowMs: world.nowMs, calls, outcomes, before, after, isRepeat, digest }
}

/** The calls and their outcomes, one line each. */
export function written(steps: readonly Step[]): string {
  return steps
    .map(({ nowMs, calls, outcomes, isRepeat }) => {
      const lines = calls.map(({ name, args }, at) => {
        const { answer, thrown } = outcomes[at] as Outcome
        return `  ${name} ${plain(args)} → ${thrown ?? plain(answer)}`
      })
      return [`at +${nowMs - startMs} ms${isRepeat ? ' again' : ''}:`, ...lines].join('\n')
    })
    .join('\n')
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    const isBytes = (item as { type?: string } | null)?.type === 'Buffer'
    return isBytes ? Buffer.from((item as { data: number[] }).data).toString('hex') : item
  })
}
