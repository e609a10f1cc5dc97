// Runs a sequence on the embedded store, the reference, and checks every step.
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../src/persistence/embedded/embedded-store.ts'
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

/** The model, one step after the other. */
export class Model {
  readonly world: World
  readonly performed: Performed[] = []
  private before: Stored
  private readonly store: EmbeddedStore

  private constructor(store: EmbeddedStore, world: World) {
    this.store = store
    this.world = world
    this.before = storedOf(store.dump())
  }

  static async open(): Promise<Model> {
    const world = new World()
    const store = await openEmbeddedStore({ clock: { nowUs: () => world.nowMs * 1000 } })
    return new Model(store, world)
  }

  /** Answers with what a checker found, or undefined. */
  async take(step: Step): Promise<string | undefined> {
    if (step.step === 'jump') {
      this.world.nowMs = step.toMs
      return undefined
    }
    const last = this.performed.at(-1)
    const call = step.step === 'call' ? step.call : last?.call
    return call === undefined ? undefined : this.perform(call, step.step === 'again')
  }

  private async perform(call: Call, isAgain: boolean): Promise<string | undefined> {
    const { world, before, performed } = this
    const { nowMs } = world
    const answer = await this.store.call(0, call.name, call.args as never)
    const after = storedOf(this.store.dump())
    const earlier = performed.slice()
    const step: Performed = { nowMs, call, answer, before, after, earlier, isAgain }
    performed.push(step)
    this.before = after
    world.learn(call, answer, after.records)
    return problemOf(step)
  }
}

/** Tells `onPerformed` of each call at once: a server may follow while the model goes on. */
export async function runOnModel(
  seeds: readonly Seed[],
  onPerformed: (step: Performed) => void = () => undefined,
): Promise<ModelRun> {
  const model = await Model.open()
  const { performed, world } = model
  for (const seed of seeds) {
    const command = commands[seed.kind] ?? (() => [])
    for (const step of stepsOf(command, new Choices(seed), world)) {
      const problem = await model.take(step)
      const last = performed.at(-1)
      if (step.step !== 'jump' && last !== undefined) onPerformed(last)
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
