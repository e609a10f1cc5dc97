// Runs a sequence on the embedded store, the reference, or on another; and checks every step.
import type { Answer, OperationName } from '../../src/persistence/contract.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import { type Dump, dumpText } from '../support/canonical.ts'
import { startMs } from '../support/settable-clock.ts'
import type { Performed, Stored } from './checkers/performed.ts'
import { checkers } from './checkers/table.ts'
import { Choices, type Seed } from './choices.ts'
import { commands, stepsOf } from './commands/table.ts'
import { type Call, recordsOf, type Step, World } from './world.ts'

/** What sequences run on. */
export interface Subject {
  call(nowMs: number, call: Call): Promise<Answer<OperationName>>
  /** Everything that it stores. */
  dump(): Promise<Dump>
}

async function embeddedSubject(): Promise<Subject> {
  let nowUs = startMs * 1000
  const store = await openEmbeddedStore({ clock: { nowUs: () => nowUs } })
  return {
    call(nowMs, { name, args }) {
      nowUs = nowMs * 1000
      return store.call(0, name, args as never)
    },
    dump: async () => store.dump(),
  }
}

export interface ModelRun {
  readonly performed: readonly Performed[]
  /** What the checkers found at the last step. */
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
  private readonly subject: Subject

  private constructor(subject: Subject, empty: Dump) {
    this.subject = subject
    this.world = new World()
    this.before = storedOf(empty)
  }

  static async open(given?: Subject): Promise<Model> {
    const subject = given ?? (await embeddedSubject())
    return new Model(subject, await subject.dump())
  }

  /** Answers with what the checkers found, or undefined. */
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
    const answer = await this.subject.call(nowMs, call)
    const after = storedOf(await this.subject.dump())
    const earlier = performed.slice()
    const step: Performed = { nowMs, call, answer, before, after, earlier, isAgain }
    performed.push(step)
    this.before = after
    world.learn(call, answer, after.records, after.dump)
    return problemOf(step)
  }
}

/** Tells `onPerformed` of each call at once: a server may follow while the model goes on. */
export async function runOnModel(
  seeds: readonly Seed[],
  onPerformed: (step: Performed) => void = () => undefined,
  subject?: Subject,
): Promise<ModelRun> {
  const model = await Model.open(subject)
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

/** What each checker found, one a line. */
function problemOf(step: Performed): string | undefined {
  const found = Object.entries(checkers).flatMap(([name, check]) => {
    const why = check(step)
    return why === undefined ? [] : [`${name}: ${why}`]
  })
  return found.length === 0 ? undefined : found.join('\n')
}
