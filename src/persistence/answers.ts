// Turns refusals into typed errors; expected answers pass.
import { EngineError, type ErrorCode, errorCatalogue } from '../errors.ts'
import type { ExecutionId } from '../ids.ts'
import type { Answer, OperationName, Refusal } from './contract.ts'

/** The answers of an operation that are no refusals. */
export type Accepted<Name extends OperationName> = Exclude<Answer<Name>, Refusal>

/** The error that a refusal stands for. A code that the catalogue lacks is a bug of ours. */
function refusalError(
  operation: OperationName,
  refusal: Refusal,
  executionId: ExecutionId | undefined,
): EngineError {
  const known = Object.hasOwn(errorCatalogue, refusal.code)
  const code = known ? (refusal.code as ErrorCode) : 'invariant_broken'
  const facts = Object.entries(refusal.details).map(([name, value]) => `${name} ${value}`)
  const subject = executionId === undefined ? '' : ` for execution ${executionId}`
  const what = [
    `${operation} was refused${subject}`,
    ...(known ? [] : [refusal.code]),
    ...facts,
  ].join(', ')
  return new EngineError(code, what, {
    details: {
      operation,
      ...(executionId === undefined ? {} : { executionId }),
      ...refusal.details,
    },
  })
}

/** Returns the answer, or throws what it refused. */
export function accepted<Name extends OperationName>(
  operation: Name,
  answer: Answer<Name>,
  executionId?: ExecutionId,
): Accepted<Name> {
  if (answer.outcome === 'refused') throw refusalError(operation, answer as Refusal, executionId)
  return answer as Accepted<Name>
}

/** One item of a bulk operation: its refusal is a value, so that it does not touch the others. */
export async function orRefused<Outcome>(
  promise: Promise<Outcome>,
): Promise<Outcome | { outcome: 'refused'; error: EngineError }> {
  try {
    return await promise
  } catch (error) {
    if (error instanceof EngineError) return { outcome: 'refused', error }
    throw error
  }
}
