// Turns a signal to deliver into what the store is asked.
import { EngineError } from '../errors.ts'
import { digest, mintId, parseExecutionId } from '../ids.ts'
import type { SignalDelivery } from './backend-suspension.ts'
import type { Arguments } from './contract.ts'
import type { TokenParts } from './token.ts'

/** What the caller says about the target besides the token must agree with the token. */
export function checkTarget(
  { executionId, waitpointId }: Pick<SignalDelivery, 'token' | 'executionId' | 'waitpointId'>,
  parts: TokenParts,
): void {
  const isOther =
    (executionId !== undefined && executionId !== parts.executionId) ||
    (waitpointId !== undefined && waitpointId !== parts.waitpointId)
  if (!isOther) return
  throw new EngineError('invalid_waitpoint_for_execution', 'the token is for another waitpoint', {
    details: { executionId, waitpointId },
  })
}

/** What the store is asked, for the execution that the token names. */
export function signalArguments(
  delivery: SignalDelivery,
  { attempt, kid, waitpointId }: TokenParts,
  id: string,
): Arguments<'signal.deliver'> {
  const { idempotencyKey, name, payload } = delivery
  if (idempotencyKey === '') {
    throw new EngineError('invalid_input', 'idempotencyKey must be 1 to 256 bytes', {
      details: { argument: 'idempotencyKey' },
    })
  }
  const content = {
    name,
    category: delivery.category ?? 'custom',
    source: delivery.source ?? 'external_api',
    identity: delivery.identity ?? '',
    correlation: delivery.correlationId ?? '',
    encoding: delivery.encoding ?? 'binary',
    key: idempotencyKey,
  }
  return {
    id,
    attempt,
    waitpoint: waitpointId,
    kid,
    signal: delivery.signalId ?? mintId(),
    digest: digest('signal', waitpointId, JSON.stringify(content), payload ?? ''),
    ...content,
    created_at: delivery.createdAtMs,
    payload,
  }
}

/** `<score>:<execution id>`, as an earlier page gave it. */
export function parseSuspendedCursor(cursor: string) {
  const [score, id] = cursor.split(':')
  const afterScore = /^\d{1,16}$/.test(score ?? '') ? Number(score) : Number.NaN
  try {
    if (Number.isSafeInteger(afterScore)) {
      return { after_score: afterScore, after: parseExecutionId(id).local }
    }
  } catch {
    // Told below, under its own name.
  }
  throw new EngineError('invalid_input', 'cursor is not one of an earlier page', {
    details: { argument: 'cursor' },
  })
}
