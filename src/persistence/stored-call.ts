// One call of a stored operation, with refusals turned into errors that name their execution.
import { EngineError } from '../errors.ts'
import { formatExecutionId } from '../ids.ts'
import { type Accepted, accepted } from './answers.ts'
import type { Arguments, OperationName } from './contract.ts'
import type { Store } from './store.ts'

/** Returns what the operation answers, or throws what it refused. */
export async function storedCall<Name extends OperationName>(
  store: Store,
  partition: number,
  name: Name,
  args: Arguments<Name>,
): Promise<Accepted<Name>> {
  if (partition >= store.partitionCount) {
    throw new EngineError('execution_not_found', `there is no partition ${partition}`)
  }
  const id = 'id' in args ? formatExecutionId(partition, args.id) : undefined
  return accepted(name, await store.call(partition, name, args), id)
}
