// The same call again gets the same answer as at first, and a settled lease cannot be settled anew.
import { isDeepStrictEqual } from 'node:util'
import type { Answer, OperationName } from '../../../src/persistence/contract.ts'
import { type Call, type Checker, type Fields, isPerformed, type Outcome } from '../observation.ts'

const settles: ReadonlySet<OperationName> = new Set([
  'execution.complete',
  'execution.fail',
  'execution.cancel',
  'execution.delay',
])

interface Settlement {
  readonly name: OperationName
  readonly digest: string
  readonly answer: Answer<OperationName>
}

type SettleArguments = Extract<Call, { name: 'execution.complete' }>['args']

const fenceKey = ({ id, attempt, lease_id, epoch }: SettleArguments): string =>
  [id, attempt, lease_id, epoch].join(' ')

function isLast(fields: Fields | undefined, args: SettleArguments): boolean {
  return (
    fields?.['lease_id'] === args.lease_id &&
    fields['epoch'] === String(args.epoch) &&
    fields['attempt'] === String(args.attempt)
  )
}

/** What the answer to a settle must be, given how this very lease was given back before. */
function problemOf(
  call: Call,
  { answer }: Outcome,
  first: Settlement,
  isStillLast: boolean,
): string | undefined {
  if (answer === undefined) return `${call.name} threw after a settlement`
  const { digest } = call.args as SettleArguments
  if (!isStillLast) {
    return answer.outcome === 'refused' ? undefined : `${call.name} of an old lease was accepted`
  }
  if (first.name === call.name && first.digest === digest) {
    const wanted = { ...first.answer, replayed: true }
    return isDeepStrictEqual(answer, wanted) ? undefined : `${call.name} was answered differently`
  }
  if (answer.outcome !== 'refused' || answer.code !== 'already_settled') {
    return `${call.name} after ${first.name} was not refused as already settled`
  }
  return answer.details['operation'] === first.name.replace('execution.', '')
    ? undefined
    : `${call.name} was told of another settlement`
}

export function replayEqualsFirstOutcome(): Checker {
  const settlements = new Map<string, Settlement>()
  let last: readonly Outcome[] = []
  return ({ calls, outcomes, before, isRepeat }) => {
    const firstAnswers = last
    last = outcomes
    for (const [at, call] of calls.entries()) {
      const outcome = outcomes[at] as Outcome
      if (isRepeat && calls.length === 1) {
        const problem = repeatProblem(call, firstAnswers[at] as Outcome, outcome)
        if (problem !== undefined) return problem
      }
      if (!settles.has(call.name)) continue
      const args = call.args as SettleArguments
      const key = fenceKey(args)
      const first = settlements.get(key)
      // In a batch, a claim before this call may have made the lease an old one.
      if (first !== undefined && calls.length === 1) {
        const isStillLast = isLast(before.executions.get(args.id), args)
        const problem = problemOf(call, outcome, first, isStillLast)
        if (problem !== undefined) return problem
      }
      if (outcome.answer !== undefined && isPerformed(outcome)) {
        if (first !== undefined) return `${call.name} was applied twice`
        settlements.set(key, { name: call.name, digest: args.digest, answer: outcome.answer })
      }
    }
    return undefined
  }
}

/** Answers that an equal call right afterwards may turn into, beyond saying that it is one. */
function equivalent(call: Call, answer: Answer<OperationName>): readonly object[] {
  const again = { ...answer, replayed: true }
  if (answer.outcome === 'refused') {
    // The grant was found to have lapsed, and with that forgotten.
    const lapsed = answer.code === 'claim_grant_expired'
    const forgotten = { ...answer, code: 'invalid_claim_grant' }
    return lapsed ? [answer, forgotten] : [answer]
  }
  switch (call.name) {
    case 'execution.submit':
      return 'id' in answer ? [{ outcome: 'duplicate', id: answer.id }] : []
    case 'execution.purge':
      return [{ outcome: 'absent' }]
    case 'lane.set_state':
      return [{ outcome: 'changed', from: call.args.state }]
    case 'execution.reprioritize':
      return [{ outcome: 'changed', from: call.args.priority, to: call.args.priority }]
    case 'execution.cancel_by_operator':
      return [{ ...again, from: 'terminal.cancelled' }]
    case 'execution.replay':
      return [{ ...answer, repeated: true }]
    default:
      return 'replayed' in answer ? [again] : [answer]
  }
}

/** Operations whose repetition goes on where the first call ended. */
function goesOn(call: Call, answer: Answer<OperationName>): boolean {
  if (call.name === 'partition.sweep' || answer.outcome === 'empty') return true
  return call.name === 'lease.revoke' && answer.outcome === 'revoked'
}

function repeatProblem(call: Call, first: Outcome, second: Outcome): string | undefined {
  if (first.answer === undefined || second.answer === undefined) {
    return first.thrown === second.thrown ? undefined : `${call.name} threw only once`
  }
  if (goesOn(call, first.answer)) return undefined
  const { answer } = second
  const isSame = equivalent(call, first.answer).some((wanted) => isDeepStrictEqual(answer, wanted))
  return isSame ? undefined : `${call.name} again was answered differently`
}
