// Short ways to the situations that contract tests begin in.
import { expect } from 'vitest'
import { EngineError, type ErrorCode } from '../../src/errors.ts'
import type { ExecutionId } from '../../src/ids.ts'
import type {
  ClaimedExecution,
  ClaimPolicy,
  EngineBackend,
  ExecutionSnapshot,
  Handle,
  Submission,
} from '../../src/persistence/backend.ts'
import type { Frame, FramePage } from '../../src/persistence/frames.ts'
import type { OpenedBackend } from './backends.ts'

export const bytes = (text: string): Uint8Array => Buffer.from(text)

/** A submission with nothing but what every submission has. */
export function work(overrides: Partial<Submission> = {}): Submission {
  return { lane: 'lane', task: 'task', input: bytes('input'), ...overrides }
}

export async function submit(
  backend: EngineBackend,
  overrides: Partial<Submission> = {},
): Promise<ExecutionId> {
  const answer = await backend.submit(work(overrides))
  expect(answer.outcome).toBe('submitted')
  return answer.executionId
}

/** A frame of text. */
export function frame(text: string, overrides: Partial<Frame> = {}): Frame {
  return { type: 'log', payload: bytes(text), encoding: 'utf8', ...overrides }
}

/** The payloads of frames as texts. */
export function textsOf({ frames }: FramePage): readonly string[] {
  return frames.map(({ payload }) => Buffer.from(payload).toString())
}

/** All that is kept of an attempt's stream. */
export function readAll(backend: EngineBackend, id: ExecutionId, attempt = 0): Promise<FramePage> {
  return backend.readStream(id, attempt, { count: 10_000 })
}

export interface ClaimOverrides extends Partial<ClaimPolicy> {
  readonly lane?: string | readonly string[]
  readonly capabilities?: readonly string[]
}

/** What a worker gets from the lane; everything that is there unless `count` says less. */
export function claimAll(
  backend: EngineBackend,
  { lane = 'lane', capabilities = [], ...policy }: ClaimOverrides = {},
): Promise<readonly ClaimedExecution[]> {
  return backend.claim(lane, capabilities, { worker: 'worker', count: 256, ...policy })
}

/** The one execution that the lane has to offer. */
export async function claimOne(
  backend: EngineBackend,
  overrides: ClaimOverrides = {},
): Promise<ClaimedExecution> {
  const found = await claimAll(backend, { count: 1, ...overrides })
  expect(found).toHaveLength(1)
  return found[0] as ClaimedExecution
}

/** Whether there is anything to claim; what there was is claimed now. */
export async function claimIds(
  backend: EngineBackend,
  overrides: ClaimOverrides = {},
): Promise<readonly ExecutionId[]> {
  const found = await claimAll(backend, overrides)
  return found.map(({ executionId }) => executionId)
}

export async function submitAndClaim(
  backend: EngineBackend,
  submission: Partial<Submission> = {},
  policy: ClaimOverrides = {},
): Promise<ClaimedExecution> {
  const id = await submit(backend, submission)
  const claimed = await claimOne(backend, { lane: submission.lane ?? 'lane', ...policy })
  expect(claimed.executionId).toBe(id)
  return claimed
}

export async function describeOne(
  backend: EngineBackend,
  id: ExecutionId,
): Promise<ExecutionSnapshot> {
  const snapshot = await backend.describeExecution(id)
  expect(snapshot).toBeDefined()
  return snapshot as ExecutionSnapshot
}

export async function stateOf(backend: EngineBackend, id: ExecutionId): Promise<string> {
  return (await describeOne(backend, id)).state
}

export async function sweepAll(backend: EngineBackend): Promise<void> {
  await Promise.all(backend.partitions.map((partition) => backend.sweep(partition)))
}

/** The error of a call that must be refused, after its code and the given details were checked. */
export async function refusal(
  call: Promise<unknown>,
  code: ErrorCode,
  details: Readonly<Record<string, unknown>> = {},
): Promise<EngineError> {
  const error = await call.then(
    (answer) => expect.fail(`accepted with ${JSON.stringify(answer)} instead of ${code}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof EngineError)) throw error
  expect({ code: error.code, ...error.details }, error.message).toMatchObject({ code, ...details })
  return error
}

/** Like `refusal`, and not one stored byte may differ afterwards. */
export async function refusedWithoutTrace(
  { dump }: OpenedBackend,
  call: () => Promise<unknown>,
  code: ErrorCode,
  details: Readonly<Record<string, unknown>> = {},
): Promise<EngineError> {
  const before = await dump()
  const error = await refusal(call(), code, details)
  expect(await dump()).toEqual(before)
  return error
}

/** The answer of a call that must not change a single stored byte. */
export async function withoutTrace<Value>(
  { dump }: OpenedBackend,
  call: () => Promise<Value>,
): Promise<Value> {
  const before = await dump()
  const answer = await call()
  expect(await dump()).toEqual(before)
  return answer
}

/** A handle in which one part was changed: what a forger, or a bug, would send. */
export function forged(
  handle: Handle,
  part: 'executionId' | 'attempt' | 'leaseId' | 'epoch',
  value: string | number,
): Handle {
  const parts = handle.opaque.split('|')
  parts[{ executionId: 1, attempt: 2, leaseId: 3, epoch: 4 }[part]] = String(value)
  return { ...handle, opaque: parts.join('|') }
}
