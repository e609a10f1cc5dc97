// A store whose calls get lost: on the way there, or on the way back when they were done already.
import { EngineError } from '../../src/errors.ts'
import type { Answer, Arguments, OperationName } from '../../src/persistence/contract.ts'
import type { Store, StoreNotice } from '../../src/persistence/store.ts'
import type { Random } from './random.ts'

export class FaultyStore implements Store {
  readonly kind: Store['kind']
  readonly partitionCount: number
  readonly durability: Store['durability']
  /** How many calls were lost, and how many answers. */
  readonly lost = { calls: 0, answers: 0 }
  private readonly store: Store
  private readonly random: Random
  private readonly percent: number

  constructor(store: Store, random: Random, percent: number) {
    this.store = store
    this.random = random
    this.percent = percent
    this.kind = store.kind
    this.partitionCount = store.partitionCount
    this.durability = store.durability
  }

  async call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Answer<Name>> {
    if (this.strikes()) {
      this.lost.calls++
      throw new EngineError('connection_timeout', 'the call was lost')
    }
    const answer = await this.store.call(partition, name, args)
    if (this.strikes()) {
      this.lost.answers++
      throw new EngineError('connection_timeout', 'the answer was lost')
    }
    return answer
  }

  private strikes(): boolean {
    return this.random.below(100) < this.percent
  }

  listen(listener: (notice: StoreNotice) => void): Promise<() => void> {
    return this.store.listen(listener)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}

/** Repeats a call until its answer arrives; whatever else goes wrong is told. */
export async function persist<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'connection_timeout') throw error
    }
  }
}
