// A pool of attempts whose backend and whose code do what the test says, on a clock of its own.
import { afterEach, beforeEach, vi } from 'vitest'
import { AttemptPool, type Perform, type Performed } from '../../src/actors/attempt-pool.ts'
import { type ClaimedExecution, EngineError, type RenewOutcome } from '../../src/index.ts'
import { type Gate, gate } from '../engine/staged.ts'

export const leaseMs = 3000

/** A backend that does what the test says, and notes what it was asked. */
class DirectedBackend {
  readonly calls: string[] = []
  refusals = new Map<string, unknown>()
  /** What a call waits for before it is answered. */
  holds = new Map<string, Promise<unknown>>()

  readonly complete = (handle: { opaque: string }) => this.note('complete', handle)
  readonly fail = (handle: { opaque: string }) => this.note('fail', handle)
  readonly delay = (handle: { opaque: string }, untilMs: number) =>
    this.note('delay', handle, ` until ${untilMs}`)

  readonly renewMany = async (handles: readonly { opaque: string }[]): Promise<RenewOutcome[]> => {
    this.calls.push(`renew ${handles.map(({ opaque }) => opaque).join(' ')}`)
    const fault = this.refusals.get('renew')
    if (fault !== undefined) throw fault
    return handles.map(({ opaque }) => {
      const error = this.refusals.get(`renew ${opaque}`)
      if (error instanceof EngineError) return { outcome: 'refused', error }
      return { outcome: 'renewed', expiresAtMs: 0, epoch: 1 }
    })
  }

  private async note(name: string, { opaque }: { opaque: string }, more = ''): Promise<never> {
    this.calls.push(`${name} ${opaque}${more}`)
    await this.holds.get(`${name} ${opaque}`)
    const error = this.refusals.get(`${name} ${opaque}`)
    if (error !== undefined) throw error
    return undefined as never
  }
}

export function claimed(opaque: string, more: Partial<ClaimedExecution> = {}): ClaimedExecution {
  return {
    handle: { backend: 'embedded', kind: 'fresh', opaque },
    executionId: `0-${opaque}`,
    leaseId: 'lease.1',
    lane: 'lane',
    task: 'task',
    input: new Uint8Array(0),
    attempt: 0,
    attemptType: 'initial',
    epoch: 1,
    leaseMs,
    expiresAtMs: 1_000_000 + leaseMs,
    attemptDeadlineAtMs: undefined,
    createdAtMs: 0,
    ...more,
  }
}

export const completed: Performed = { outcome: 'completed', payload: undefined }

export let backend: DirectedBackend
export let running: Map<string, Gate<Performed> & { signal: AbortSignal }>
export let faults: unknown[]

/** A new backend for each test of the calling file. */
export function useDirectedPools(): void {
  beforeEach(() => {
    vi.useFakeTimers()
    backend = new DirectedBackend()
    running = new Map()
    faults = []
  })
  afterEach(() => void vi.useRealTimers())
}

const directed: Perform = ({ handle }, signal) => {
  const over = gate<Performed>()
  running.set(handle.opaque, { ...over, signal })
  return over.passed
}

export function makePool(concurrency = 2, perform = directed): AttemptPool {
  const onError = (error: unknown) => void faults.push(error)
  return new AttemptPool({ backend: backend as never, perform, concurrency, onError })
}

/** Ends an attempt and waits until what follows from that is done. */
export async function end(opaque: string, how: Performed = completed): Promise<void> {
  running.get(opaque)?.open(how)
  await vi.advanceTimersByTimeAsync(0)
}

export const signalOf = (opaque: string) => running.get(opaque)?.signal as AbortSignal
