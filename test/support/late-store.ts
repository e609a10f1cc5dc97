// A store in which what partitions tell each other about slots gets lost, comes twice, and late.
import { EngineError } from '../../src/errors.ts'
import type { Answer, Arguments, OperationName } from '../../src/persistence/contract.ts'
import type { Store, StoreNotice } from '../../src/persistence/store.ts'
import type { Random } from './random.ts'

const relayed = /^limit\.(acquire|release|admit|settle|owed)$/

function lose(): never {
  throw new EngineError('connection_timeout', 'a call or its answer was lost')
}

export class LateStore implements Store {
  readonly kind: Store['kind']
  readonly partitionCount: number
  readonly durability: Store['durability']
  /** Earlier calls, to be made once more at any time. */
  private readonly earlier: (() => Promise<unknown>)[] = []
  private readonly store: Store
  private readonly random: Random

  constructor(store: Store, random: Random) {
    this.store = store
    this.random = random
    this.kind = store.kind
    this.partitionCount = store.partitionCount
    this.durability = store.durability
  }

  async call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Answer<Name>> {
    const call = () => this.store.call(partition, name, args)
    if (!relayed.test(name)) return call()
    if (this.earlier.length > 0 && this.random.below(3) === 0) {
      await this.random.one(this.earlier)()
    }
    this.earlier.push(call)
    if (this.random.below(5) === 0) lose()
    const answer = await call()
    if (this.random.below(5) === 0) lose()
    return answer
  }

  listen(listener: (notice: StoreNotice) => void): Promise<() => void> {
    return this.store.listen(listener)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
