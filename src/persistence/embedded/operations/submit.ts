// Accepting new work: once per execution id and once per idempotency key.
import { invariant } from '../../../errors.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import type { Keyspace } from '../keyspace.ts'
import { newExecution } from '../record.ts'
import { acceptSubmission, checkSubmission } from '../submission.ts'

type Submission = Arguments<'execution.submit'>

/** The execution that this id or this idempotency key already made. */
function known(keyspace: Keyspace, args: Submission): Answer<'execution.submit'> | undefined {
  if (args.key !== undefined && args.fingerprint === undefined) {
    return refuse('invalid_input', { argument: 'fingerprint', why: 'is missing' })
  }
  const keyed = args.key === undefined ? undefined : keyspace.keyed.get(args.key)
  if (keyed !== undefined) {
    return keyed.fingerprint === args.fingerprint
      ? { outcome: 'duplicate', id: keyed.id }
      : refuse('idempotency_mismatch', { existing: keyed.id })
  }
  return keyspace.executions.has(args.id) ? { outcome: 'duplicate', id: args.id } : undefined
}

export function submit(call: CallContext, args: Submission): Answer<'execution.submit'> {
  const { keyspace } = call
  const existing = known(keyspace, args)
  if (existing !== undefined) return existing
  const { input } = args
  if (input === undefined) {
    return refuse('invalid_input', { argument: 'input', why: 'is missing or too large' })
  }
  const checked = checkSubmission(call, args)
  if ('outcome' in checked) return checked
  // A copy: the caller may use its buffer again.
  const { id, tags, tagged } = args
  const x = newExecution({ id, tags, tagged, input: Buffer.from(input) })
  x.f.key = args.key
  if (args.key !== undefined) {
    invariant(args.fingerprint !== undefined, 'an idempotency key came without a fingerprint')
    keyspace.keyed.set(args.key, { id: args.id, fingerprint: args.fingerprint })
  }
  acceptSubmission(call, x, args, checked)
  return { outcome: 'submitted', id: args.id, state: x.f.state }
}
