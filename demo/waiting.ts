// Follows which packages wait for an approval, whichever process began them.

import type { Engine, Execution, ExecutionId, FeedItem } from '../src/index.ts'
import type { InstalledPackage } from './packages.ts'

export interface WaitingPackage {
  readonly package: InstalledPackage
  /** What somebody has to decide on, as the task wrote it. */
  readonly licence: string
  /** Whoever has it may decide. */
  readonly token: string
  /** Where the decision is taken, if this process takes any. */
  readonly url: string | undefined
}

export interface WaitingWatch {
  /** A package waits, for the first time or for a better answer; `count` wait in all. */
  waiting(asked: WaitingPackage, count: number): Promise<void> | void
  /** One of them waits no more; `count` still do. */
  answered(count: number): void
}

interface Followed {
  readonly package: InstalledPackage
  readonly execution: Execution<unknown>
}

export class Waiting {
  readonly #events: AsyncIterableIterator<FeedItem>
  readonly #followed = new Map<ExecutionId, Followed>()
  /** What was told to be waiting, by the token that was told. */
  readonly #told = new Map<ExecutionId, string>()
  readonly #watch: WaitingWatch

  /** From here on nothing is missed; `follow` tells of it. */
  constructor(engine: Engine, watch: WaitingWatch) {
    this.#events = engine.events()
    this.#watch = watch
  }

  add(installed: InstalledPackage, execution: Execution<unknown>): void {
    this.#followed.set(execution.id, { package: installed, execution })
  }

  /** Tells of those that wait already, then of every change, until it is closed. */
  async follow(suspended: readonly ExecutionId[]): Promise<void> {
    for (const id of suspended) await this.#look(id)
    for await (const item of this.#events) {
      if (item.event === 'gap') {
        for (const id of this.#followed.keys()) await this.#look(id)
      } else if (item.executionId === undefined) {
        // The flow as a whole has no say in who waits.
      } else if (item.publicState === 'suspended') {
        await this.#look(item.executionId)
      } else {
        this.#answered(item.executionId)
      }
    }
  }

  get count(): number {
    return this.#told.size
  }

  /** What has ended does not wait, even if word of the answer is still on its way. */
  forget(id: ExecutionId): void {
    this.#answered(id)
  }

  async close(): Promise<void> {
    await this.#events.return?.()
  }

  async #look(id: ExecutionId): Promise<void> {
    const followed = this.#followed.get(id)
    // Others may work in the same place.
    if (followed === undefined) return
    const { execution } = followed
    const point = (await execution.waitpoints()).find(({ state }) => state === 'active')
    if (point === undefined) return this.#answered(id)
    const { token, url } = point
    if (this.#told.get(id) === token) return
    const snapshot = await execution.describe()
    const licence = snapshot?.progress.message ?? 'a licence that needs approval'
    this.#told.set(id, token)
    const asked = { package: followed.package, licence, token, url }
    await this.#watch.waiting(asked, this.#told.size)
  }

  #answered(id: ExecutionId): void {
    if (this.#told.delete(id)) this.#watch.answered(this.#told.size)
  }
}
