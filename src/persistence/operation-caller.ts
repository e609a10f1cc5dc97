// Calls stored operations and turns refusals into errors: what every part of a backend stands on.
import { EngineError } from '../errors.ts'
import { formatExecutionId } from '../ids.ts'
import { type Accepted, accepted } from './answers.ts'
import type { Arguments, OperationName } from './contract.ts'
import type { Store } from './store.ts'

export class OperationCaller {
  protected readonly store: Store
  readonly partitions: readonly number[]

  constructor(store: Store) {
    this.store = store
    this.partitions = Array.from({ length: store.partitionCount }, (_, partition) => partition)
  }

  protected async call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Accepted<Name>> {
    if (partition >= this.store.partitionCount) {
      throw new EngineError('execution_not_found', `there is no partition ${partition}`)
    }
    const id = 'id' in args ? formatExecutionId(partition, args.id) : undefined
    return accepted(name, await this.store.call(partition, name, args), id)
  }
}
