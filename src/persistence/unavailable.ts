// The operations that no store offers yet: each says so by name and changes nothing.
import { EngineError } from '../errors.ts'
import type { EngineBackend } from './backend.ts'

/** Operations of the contract that answer `unavailable`. */
export const unavailableOperations = [
  'reportUsage',
] as const satisfies readonly (keyof EngineBackend)[]

type UnavailableOperations = Pick<EngineBackend, (typeof unavailableOperations)[number]>

function unavailable(operation: string): () => Promise<never> {
  return async () => {
    throw new EngineError('unavailable', `${operation} is not offered`, { details: { operation } })
  }
}

/** One refusing method for each of them. */
export function refuseUnavailable(): UnavailableOperations {
  return Object.fromEntries(
    unavailableOperations.map((name) => [name, unavailable(name)]),
  ) as unknown as UnavailableOperations
}
