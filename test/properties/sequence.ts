// Plays a sequence of steps on the model: what was called when, what it answered and stored.
import { isEngineError } from '../../src/errors.ts'
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../src/persistence/embedded/embedded-store.ts'
import type { Store, StoreNotice } from '../../src/persistence/store.ts'
import { dumpText, sha1 } from '../support/canonical.ts'
import { settableProcessClock, startMs } from '../support/settable-clock.ts'
import { type Call, type Checker, type Outcome, type Step, Stored } from './observation.ts'
import { World } from './world.ts'

/** What to do in one step: calls that are made in one tick, and when. */
export type Plan = Pick<Step, 'nowMs' | 'calls' | 'isRepeat'>

/** Decides the next step from what is known so far; undefined ends the sequence. */
export type NextPlan = (world: World, last: Plan | undefined) => Plan | undefined

/** A step, and the digest of the stored state after it. */
export interface PlayedStep extends Step {
  readonly digest: string
}

export interface Played {
  readonly steps: readonly PlayedStep[]
  readonly notices: readonly StoreNotice[]
}

/** A sequence that shows something wrong, up to where it shows. */
export class SequenceFailure extends Error {
  readonly plans: readonly Plan[]

  constructor(problem: string, steps: readonly Step[]) {
    super(`${problem}\n${written(steps)}`)
    this.name = 'SequenceFailure'
    this.plans = steps
  }
}

/** Makes one call through the store's own interface. */
export async function outcomeOf(store: Store, { name, args }: Call): Promise<Outcome> {
  try {
    return { answer: await store.call(0, name, args as never) }
  } catch (error) {
    if (isEngineError(error)) return { thrown: `${error.code} ${error.message}` }
    throw error
  }
}

/** Plays the steps one after the other; every checker sees each of them. */
export async function play(next: NextPlan, checkers: readonly Checker[]): Promise<Played> {
  const clock = settableProcessClock()
  const store = await openEmbeddedStore({ clock })
  const notices: StoreNotice[] = []
  await store.listen((notice) => void notices.push(notice))
  const world = new World(startMs, new Stored(store.dump()))
  const steps: PlayedStep[] = []
  for (;;) {
    const plan = next(world, steps.at(-1))
    if (plan === undefined) break
    world.nowMs = plan.nowMs
    await clock.set(plan.nowMs)
    const step = await playStep(store, world, plan)
    steps.push(step)
    for (const check of checkers) {
      const problem = check(step)
      if (problem !== undefined) throw new SequenceFailure(problem, steps)
    }
  }
  // Notices are told after the answers, in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve))
  return { steps, notices }
}

async function playStep(store: EmbeddedStore, world: World, plan: Plan): Promise<PlayedStep> {
  const { calls, nowMs, isRepeat } = plan
  const before = world.stored
  // Calls of one tick travel together and see each other's changes in order.
  const outcomes = await Promise.all(calls.map((call) => outcomeOf(store, call)))
  const after = new Stored(store.dump())
  world.learn(calls, outcomes, after)
  const digest = sha1(dumpText(after.dump))
  return { nowMs, calls, isRepeat, outcomes, before, after, digest }
}

/** Leaves out every step without which something is still wrong. */
export async function smallest(
  failure: SequenceFailure,
  failsOn: (plans: readonly Plan[]) => Promise<SequenceFailure | undefined>,
): Promise<SequenceFailure> {
  let best = failure
  for (let size = Number.POSITIVE_INFINITY; best.plans.length < size; ) {
    size = best.plans.length
    for (let at = size - 1; at >= 0; at--) {
      const found = await failsOn(without(best.plans, at))
      if (found !== undefined) best = found
    }
  }
  return best
}

/** What followed the step that is left out no longer repeats it. */
function without(plans: readonly Plan[], left: number): readonly Plan[] {
  return plans
    .map((plan, at) => (at === left + 1 ? { ...plan, isRepeat: false } : plan))
    .filter((_, at) => at !== left)
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
