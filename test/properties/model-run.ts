// Runs a sequence on the embedded store, the reference, and checks every step.
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import { type Dump, dumpText } from '../support/canonical.ts'
import type { Performed, Stored } from './checkers/performed.ts'
import { checkers } from './checkers/table.ts'
import { Choices, type Seed } from './choices.ts'
import { commands, stepsOf } from './commands/table.ts'
import { type Call, recordsOf, type Step, World } from './world.ts'

export interface ModelRun {
  readonly performed: readonly Performed[]
  /** What a checker found at the last step. */
  readonly problem: string | undefined
}

function storedOf(dump: Dump): Stored {
  return { dump, text: dumpText(dump), records: recordsOf(dump) }
}

export async function runOnModel(seeds: readonly Seed[]): Promise<ModelRun> {
  const world = new World()
  const store = await openEmbeddedStore({ clock: { nowUs: () => world.nowMs * 1000 } })
  const performed: Performed[] = []
  let before = storedOf(store.dump())

  const perform = async (call: Call, isAgain: boolean) => {
    const { nowMs } = world
    const answer = await store.call(0, call.name, call.args as never)
    const after = storedOf(store.dump())
    const earlier = performed.slice()
    const step: Performed = { nowMs, call, answer, before, after, earlier, isAgain }
    performed.push(step)
    before = after
    world.learn(call, answer, after.records)
    return problemOf(step)
  }

  const take = async (step: Step): Promise<string | undefined> => {
    if (step.step === 'jump') {
      world.nowMs = step.toMs
      return undefined
    }
    const last = performed.at(-1)
    if (step.step === 'call') return perform(step.call, false)
    return last === undefined ? undefined : perform(last.call, true)
  }

  for (const seed of seeds) {
    const command = commands[seed.kind] ?? (() => [])
    for (const step of stepsOf(command, new Choices(seed), world)) {
      const problem = await take(step)
      if (problem !== undefined) return { performed, problem }
    }
  }
  return { performed, problem: undefined }
}

function problemOf(step: Performed): string | undefined {
  for (const [name, check] of Object.entries(checkers)) {
    const why = check(step)
    if (why !== undefined) return `${name}: ${why}`
  }
  return undefined
}
