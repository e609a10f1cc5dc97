// Calls stored operations: what every part of a backend stands on.
import type { Accepted } from './answers.ts'
import type { Arguments, OperationName } from './contract.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'

export class OperationCaller {
  protected readonly store: Store
  readonly partitions: readonly number[]

  constructor(store: Store) {
    this.store = store
    this.partitions = Array.from({ length: store.partitionCount }, (_, partition) => partition)
  }

  protected call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Accepted<Name>> {
    return storedCall(this.store, partition, name, args)
  }
}
