// Short ways to suspended executions, and to the signals that resume them.
import { expect } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type { ClaimedExecution, Handle, Submission } from '../../src/persistence/backend.ts'
import type {
  IssuedWaitpoint,
  SignalDelivery,
  SuspendOptions,
  SuspendOutcome,
  WaitpointSpec,
} from '../../src/persistence/backend-suspension.ts'
import type { Open, OpenedBackend, OpenOptions } from './backends.ts'
import { type ClaimOverrides, submitAndClaim } from './executions.ts'

type SuspendedOutcome = Extract<SuspendOutcome, { outcome: 'suspended' }>

export interface Suspended {
  readonly id: ExecutionId
  readonly claimed: ClaimedExecution
  /** The handle of the lease that was given back. */
  readonly lease: Handle
  readonly outcome: SuspendedOutcome
  readonly waitpoints: readonly IssuedWaitpoint[]
  /** Of the first waitpoint. */
  readonly token: string
}

export interface SuspendPlan extends SuspendOptions {
  readonly waitpoints?: readonly WaitpointSpec[]
  readonly submission?: Partial<Submission>
  readonly claim?: ClaimOverrides
}

/** A backend whose first signing key exists: making it is the only trace of a refused call. */
export async function openSigning(open: Open, options?: OpenOptions): Promise<OpenedBackend> {
  const opened = await open(options)
  const key = { kid: 'k1', secret: 's'.repeat(43) }
  const { backend, store } = opened
  await Promise.all(backend.partitions.map((at) => store.call(at, 'keyring.seed', key)))
  return opened
}

export const approval: readonly WaitpointSpec[] = [{ key: 'approval' }]

/** The answer of a suspend that must not have been satisfied already. */
export function suspendedBy(outcome: SuspendOutcome): SuspendedOutcome {
  expect(outcome.outcome).toBe('suspended')
  return outcome as SuspendedOutcome
}

/** The answer of a suspend whose signals must have come already. */
export function satisfiedBy(outcome: SuspendOutcome) {
  expect(outcome.outcome).toBe('already_satisfied')
  return outcome as Extract<SuspendOutcome, { outcome: 'already_satisfied' }>
}

/** Suspends claimed work on one waitpoint `approval`, or on the given ones. */
export async function suspendClaimed(
  { backend }: Pick<OpenedBackend, 'backend'>,
  claimed: ClaimedExecution,
  { waitpoints = approval, submission: _, claim: __, ...options }: SuspendPlan = {},
): Promise<Suspended> {
  const outcome = suspendedBy(await backend.suspend(claimed.handle, waitpoints, options))
  return {
    id: claimed.executionId,
    claimed,
    lease: claimed.handle,
    outcome,
    waitpoints: outcome.waitpoints,
    token: outcome.waitpoints[0]!.token,
  }
}

/** A new execution that is suspended. */
export async function suspended(opened: OpenedBackend, plan: SuspendPlan = {}): Promise<Suspended> {
  const claimed = await submitAndClaim(opened.backend, plan.submission, plan.claim)
  return suspendClaimed(opened, claimed, plan)
}

/** Delivers a signal and returns what it did; it must not be a repetition. */
export async function send(
  { backend }: Pick<OpenedBackend, 'backend'>,
  token: string,
  signal: Omit<SignalDelivery, 'token'> = {},
): Promise<string> {
  const answer = await backend.deliverSignal({ token, ...signal })
  expect(answer.outcome).toBe('accepted')
  return answer.effect
}

/** 22 characters that stand for an id, made from a short name. */
export const idOf = (name: string): string => name.padEnd(22, '_')
