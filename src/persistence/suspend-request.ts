// Turns a wish to suspend into what the store is asked: ids, bindings, and the condition's text.
import { EngineError } from '../errors.ts'
import { digest, type ExecutionId, formatExecutionId } from '../ids.ts'
import type { Handle } from './backend.ts'
import type { SuspendOptions, WaitpointSpec } from './backend-suspension.ts'
import { compileCondition, type ResumeCondition } from './condition.ts'
import type { Arguments } from './contract.ts'
import type { Fence } from './handle.ts'
import type { SigningKey } from './keyring.ts'
import { mintToken, type TokenParts } from './token.ts'
import { wordProblem } from './word.ts'

/** A waitpoint of the suspension to come. */
export interface Binding {
  readonly waitpointId: string
  /** The name that a condition knows it by. */
  readonly key: string
  /** The token of an issued waitpoint; new ones get theirs when they are signed. */
  readonly token: string | undefined
}

export interface SuspendRequest {
  readonly suspensionId: string
  readonly bindings: readonly Binding[]
  readonly condition: string
}

function invalid(why: string): never {
  throw new EngineError('invalid_input', `waitpoints ${why}`, {
    details: { argument: 'waitpoints', why },
  })
}

function newKey(spec: WaitpointSpec): string {
  const key = 'key' in spec ? spec.key : undefined
  const problem = wordProblem(key)
  if (problem !== undefined) invalid(`have a key that ${problem}`)
  return key as string
}

/** Without a condition any waitpoint that got a fitting signal is enough. */
function conditionOf(
  specs: readonly WaitpointSpec[],
  bindings: readonly Binding[],
  given: ResumeCondition | undefined,
): ResumeCondition {
  if (given !== undefined) {
    if (specs.some(({ match }) => match !== undefined)) invalid('match signals beside a condition')
    return given
  }
  const members = bindings.map(({ key }, at): ResumeCondition => {
    return { kind: 'single', waitpoint: key, match: specs[at]?.match }
  })
  return members.length === 1 ? (members[0] as ResumeCondition) : { kind: 'any', of: members }
}

/**
 * The request of one call. Its ids follow from the lease and what is asked, so that the same call
 * again is recognised; `verified` holds what the tokens among the waitpoints say.
 */
export function suspendRequest(
  handle: Handle,
  specs: readonly WaitpointSpec[],
  options: SuspendOptions,
  verified: ReadonlyMap<string, TokenParts>,
): SuspendRequest {
  if (specs.length === 0) invalid('are none')
  const suspensionId = digest('suspension', handle.opaque, JSON.stringify([specs, options]))
  const bindings = specs.map((spec, at): Binding => {
    if (!('token' in spec)) {
      const waitpointId = digest('waitpoint', suspensionId, String(at))
      return { waitpointId, key: newKey(spec), token: undefined }
    }
    const { waitpointId } = verified.get(spec.token) as TokenParts
    return { waitpointId, key: spec.key ?? waitpointId, token: spec.token }
  })
  const keys = bindings.map(({ key }) => key)
  const condition = compileCondition(conditionOf(specs, bindings, options.condition), keys)
  return { suspensionId, bindings, condition }
}

/** What the store is asked; new waitpoints are signed with `key`. */
export function suspendArguments(
  fence: Omit<Fence, 'partition'>,
  { suspensionId, bindings, condition }: SuspendRequest,
  options: SuspendOptions,
  key: SigningKey,
): Arguments<'execution.suspend'> {
  const points = bindings.map((binding) =>
    binding.token === undefined
      ? `${binding.waitpointId} ${binding.key} ${key.kid}`
      : binding.waitpointId,
  )
  return {
    ...fence,
    digest: suspensionId,
    suspension: suspensionId,
    points: points.join(','),
    condition,
    reason: options.reason ?? 'waiting_for_signal',
    requested_by: options.requestedBy ?? 'worker',
    behaviour: options.onTimeout ?? 'fail',
    timeout_at: options.timeoutAtMs,
    timeout_ms: options.timeoutMs,
    resume_delay_ms: options.resumeDelayMs,
    pointer: options.pointer,
  }
}

/** The waitpoints with their tokens; those of new ones are signed now. */
export function issuedBy(
  { partition, id, attempt }: Omit<Fence, 'lease_id' | 'epoch'>,
  bindings: readonly Binding[],
  signingKey: SigningKey,
) {
  const executionId: ExecutionId = formatExecutionId(partition, id)
  return bindings.map(({ waitpointId, key, token }) => ({
    waitpointId,
    key,
    token: token ?? mintToken(signingKey, { executionId, attempt, waitpointId }),
  }))
}
