// Brings an execution into each leaf of the lifecycle that can be reached without other features.
import type { ExecutionId } from '../../src/ids.ts'
import type { Handle, Submission } from '../../src/persistence/backend.ts'
import type { OpenedBackend } from './backends.ts'
import { bytes, refusal, submit, submitAndClaim } from './executions.ts'

export const reachableLeaves = [
  'runnable.ready',
  'runnable.resumed',
  'runnable.blocked',
  'leased.held',
  'leased.expired',
  'leased.revoked',
  'suspended',
  'delayed.start',
  'delayed.retry',
  'delayed.parked',
  'terminal.completed',
  'terminal.failed',
  'terminal.cancelled',
  'terminal.expired',
] as const

export type ReachableLeaf = (typeof reachableLeaves)[number]

/** An execution in a leaf, alone in a lane that is named like the leaf. */
export interface Brought {
  readonly id: ExecutionId
  /** Of its last lease; undefined when it never had one. */
  readonly handle: Handle | undefined
}

/** Longer than the lease that expires on the way, shorter than everything that should last. */
const leaseMs = 1000
const lastingMs = 3_600_000

export async function bring(opened: OpenedBackend, leaf: ReachableLeaf): Promise<Brought> {
  const { backend, clock } = opened
  const unclaimed = async (overrides: Partial<Submission> = {}) => ({
    id: await submit(backend, { lane: leaf, ...overrides }),
    handle: undefined,
  })
  const claimed = async (overrides: Partial<Submission> = {}, forMs = lastingMs) => {
    const submission = { lane: leaf, ...overrides }
    const { executionId, handle } = await submitAndClaim(backend, submission, { leaseMs: forMs })
    return { id: executionId, handle }
  }
  switch (leaf) {
    case 'runnable.ready':
      return unclaimed()
    case 'runnable.resumed':
      return afterwards(claimed(), ({ handle }) => backend.delay(handle, clock.nowMs()))
    case 'runnable.blocked':
      return afterwards(unclaimed(), ({ id }) => backend.blockExecution(id, 'reason'))
    case 'leased.held':
      return claimed()
    case 'leased.expired':
      return afterwards(claimed({}, leaseMs), async ({ handle }) => {
        await clock.advance(leaseMs)
        await refusal(backend.renew(handle), 'lease_expired')
      })
    case 'leased.revoked':
      return afterwards(claimed(), ({ id }) => backend.revokeLease(id))
    case 'suspended':
      return afterwards(claimed(), ({ handle }) => backend.suspend(handle, [{ key: 'go' }]))
    case 'delayed.start':
      return unclaimed({ delayMs: lastingMs })
    case 'delayed.retry':
      return afterwards(claimed({ retry: { attempts: 2, delayMs: lastingMs } }), ({ handle }) =>
        backend.fail(handle, { message: 'oops' }, 'transient'),
      )
    case 'delayed.parked':
      return afterwards(claimed(), ({ handle }) => backend.delay(handle, clock.nowMs() + lastingMs))
    case 'terminal.completed':
      return afterwards(claimed(), ({ handle }) => backend.complete(handle, bytes('result')))
    case 'terminal.failed':
      return afterwards(claimed(), ({ handle }) =>
        backend.fail(handle, { message: 'oops' }, 'permanent'),
      )
    case 'terminal.cancelled':
      return afterwards(claimed(), ({ handle }) => backend.cancel(handle, 'no need'))
    case 'terminal.expired':
      return afterwards(claimed({ attemptTimeoutMs: 1 }), async ({ handle }) => {
        await clock.advance(1)
        await refusal(backend.renew(handle), 'execution_not_active')
      })
  }
}

async function afterwards<Value>(
  start: Promise<Value>,
  act: (started: Value) => Promise<unknown>,
): Promise<Value> {
  const started = await start
  await act(started)
  return started
}
