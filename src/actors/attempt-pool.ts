// The attempts that one worker process runs at the same time, each under its own lease.
import { EngineError, isEngineError } from '../errors.ts'
import type {
  ClaimedExecution,
  EngineBackend,
  FailureClass,
  FailureReason,
  Handle,
  LostLease,
} from '../persistence/backend.ts'
import { setTimer } from '../time.ts'
import { DoubtedLeases, leaseName, ToldDuringClaim } from './doubted-leases.ts'
import { lossReason } from './lost-lease.ts'

/** What came of an attempt: how its lease is to be given back. */
export type Performed =
  | { readonly outcome: 'completed'; readonly payload: Uint8Array | undefined }
  | {
      readonly outcome: 'failed'
      readonly reason: FailureReason
      readonly failureClass: FailureClass
    }
  | { readonly outcome: 'delayed'; readonly untilMs: number }
  /** The lease was given back already: the execution waits for signals, or for children. */
  | { readonly outcome: 'suspended' }

/** An outcome that gives the lease back. */
type Settling = Exclude<Performed, { readonly outcome: 'suspended' }>

/** Runs the user's code for one attempt; must not reject. */
export type Perform = (claimed: ClaimedExecution, signal: AbortSignal) => Promise<Performed>

type PoolBackend = Pick<EngineBackend, 'complete' | 'fail' | 'delay' | 'renewMany'>

interface RunningAttempt {
  readonly claimed: ClaimedExecution
  readonly abort: AbortController
  deadline: Timer | undefined
  /** On this process's clock. */
  expiresAtMs: number
  /** What is said to have taken its lease away. */
  cause?: LostLease['event'] | undefined
  /** Once its code has ended: the lease is on its way back, and nothing is news to the code. */
  settling?: Promise<void>
}

/** Refusals that mean: this lease is not ours any more. */
const lostCodes = [
  'execution_not_active',
  'execution_not_found',
  'stale_lease',
  'lease_expired',
  'lease_revoked',
  'already_settled',
] as const

/** Whether the error says that the lease is gone: its attempt is told so by its signal. */
export const isLost = (error: unknown): boolean => isEngineError(error, ...lostCodes)

type Timer = ReturnType<typeof setTimer>

/** Our clock may run ahead of the server's, or it cannot be asked: so long until the next time. */
const deadlineRetryMs = 50

/** For what of a task still runs after the execution was parked. */
const parkedError = () =>
  new EngineError('execution_not_active', 'it waits for a signal or for children')

/** The work goes on at once, with whoever claims it. */
const handedBack: Settling = { outcome: 'delayed', untilMs: 0 }

export interface AttemptPoolOptions {
  readonly backend: PoolBackend
  readonly perform: Perform
  readonly concurrency: number
  /** Hears of faults that no caller is there to hear of. */
  readonly onError: (error: unknown) => void
}

/**
 * Runs attempts and gives their leases back. An attempt whose lease is lost has its signal aborted
 * and is forgotten: whatever it still returns is dropped, because the engine would refuse it.
 */
export class AttemptPool {
  private readonly options: AttemptPoolOptions
  /** By the names of their leases. */
  private readonly running = new Map<string, RunningAttempt>()
  private readonly unfinished = new Set<Promise<void>>()
  private readonly claims = new Map<Promise<void>, ToldDuringClaim>()
  private readonly doubted = new DoubtedLeases<RunningAttempt>()
  private performing = 0
  private waiting: (() => void) | undefined

  constructor(options: AttemptPoolOptions) {
    this.options = options
  }

  get free(): number {
    return this.options.concurrency - this.performing
  }

  start(claimed: ClaimedExecution, told?: ToldDuringClaim): void {
    const abort = new AbortController()
    const attempt: RunningAttempt = {
      claimed,
      abort,
      expiresAtMs: Date.now() + claimed.leaseMs,
      deadline: this.armDeadline(claimed),
    }
    const name = leaseName(claimed)
    this.running.set(name, attempt)
    if (told?.doubts(claimed)) this.doubted.add(attempt, told.causeOf(claimed))
    const finished = this.run(attempt).finally(() => {
      attempt.deadline?.clear()
      this.running.delete(name)
      this.unfinished.delete(finished)
    })
    this.unfinished.add(finished)
  }

  /** Resolves when an attempt can be started, or when the signal fires. */
  whenFree(signal: AbortSignal): Promise<void> {
    if (this.free > 0 || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.waiting = () => {
        if (this.waiting !== undefined) signal.removeEventListener('abort', this.waiting)
        this.waiting = undefined
        resolve()
      }
      signal.addEventListener('abort', this.waiting, { once: true })
    })
  }

  /** Runs one claim: what it brings is started, or handed straight back once the signal fired. */
  take(claim: Promise<readonly ClaimedExecution[]>, signal: AbortSignal): Promise<void> {
    const told = new ToldDuringClaim()
    const taken = claim.then(async (claimed) => {
      if (!signal.aborted) for (const each of claimed) this.start(each, told)
      else await Promise.all(claimed.map((execution) => this.settle(execution, handedBack)))
    })
    const done = taken.then(
      () => undefined,
      () => undefined,
    )
    this.claims.set(done, told)
    void done.finally(() => this.claims.delete(done))
    return taken
  }

  /** Renews every lease; attempts whose lease is gone are aborted. */
  renewAll(): Promise<void> {
    return this.renew([...this.running.values()])
  }

  /** Notes that a lease is said to be lost, or with undefined that any may be. */
  hear(lost: LostLease | undefined): void {
    for (const told of this.claims.values()) told.add(lost)
    const attempts =
      lost === undefined ? this.running.values() : [this.running.get(leaseName(lost))]
    for (const attempt of attempts) {
      if (attempt !== undefined) this.doubted.add(attempt, lost?.event)
    }
  }

  /** Waits for leases that are said to be lost, and renews them: the refusal says why. */
  async renewDoubted(signal: AbortSignal): Promise<void> {
    const doubted = await this.doubted.take(signal)
    for (const [attempt, cause] of doubted) attempt.cause = cause ?? attempt.cause
    await this.renew([...doubted.keys()].filter((attempt) => this.isRunning(attempt)))
  }

  /** A lease that could not be renewed in time is lost, even if nobody can tell us so. */
  loseLapsed(): void {
    const nowMs = Date.now()
    for (const attempt of this.running.values()) {
      if (attempt.expiresAtMs > nowMs) continue
      this.lose(attempt, new EngineError('lease_expired', 'it could not be renewed in time'))
    }
  }

  /** Resolves when no claim is under way any more. */
  async claimed(): Promise<void> {
    while (this.claims.size > 0) await Promise.all(this.claims.keys())
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.unfinished.size > 0) await Promise.all(this.unfinished)
  }

  /**
   * Aborts what still runs and hands its work back, so that another worker continues at once. What
   * is on its way back already is waited for.
   */
  async handBack(): Promise<void> {
    const attempts = [...this.running.values()]
    const reason = new EngineError('engine_closed', 'the worker is stopping')
    await Promise.all(
      attempts.map(async ({ claimed, abort, deadline, settling }) => {
        if (settling !== undefined) return settling
        deadline?.clear()
        this.running.delete(leaseName(claimed))
        abort.abort(reason)
        await this.settle(claimed, handedBack)
      }),
    )
  }

  private isRunning(attempt: RunningAttempt): boolean {
    return this.running.get(leaseName(attempt.claimed)) === attempt
  }

  private async renew(attempts: readonly RunningAttempt[]): Promise<void> {
    if (attempts.length === 0) return
    const sentAtMs = Date.now()
    const outcomes = await this.options.backend.renewMany(
      attempts.map(({ claimed }) => claimed.handle),
    )
    outcomes.forEach((outcome, index) => {
      const attempt = attempts[index] as RunningAttempt
      if (outcome.outcome === 'renewed') {
        attempt.expiresAtMs = sentAtMs + attempt.claimed.leaseMs
        // What was told of it is not so any more: the server lost the write that took it away.
        attempt.cause = undefined
      } else if (isLost(outcome.error)) this.lose(attempt, outcome.error)
      else this.options.onError(outcome.error)
    })
  }

  private async run(attempt: RunningAttempt): Promise<void> {
    const { claimed, abort } = attempt
    this.performing += 1
    const performed = await this.perform(claimed, abort.signal)
    // The next claim need not wait for the report: both go to the server together.
    this.performing -= 1
    this.waiting?.()
    attempt.deadline?.clear()
    if (performed.outcome === 'suspended') abort.abort(parkedError())
    else if (this.isRunning(attempt)) {
      attempt.settling = this.settle(claimed, performed)
      await attempt.settling
    }
  }

  private async perform(claimed: ClaimedExecution, signal: AbortSignal): Promise<Performed> {
    try {
      return await this.options.perform(claimed, signal)
    } catch (error) {
      this.options.onError(error)
      return { outcome: 'failed', failureClass: 'transient', reason: { message: 'it broke' } }
    }
  }

  private async settle({ handle }: ClaimedExecution, performed: Settling): Promise<void> {
    try {
      await settleOnce(this.options.backend, handle, performed)
    } catch (error) {
      if (!isLost(error)) this.options.onError(error)
    }
  }

  /** At its deadline the server ends the attempt; asking to renew makes it do so at once. */
  private armDeadline(claimed: ClaimedExecution): Timer | undefined {
    const { attemptDeadlineAtMs, expiresAtMs, leaseMs } = claimed
    if (attemptDeadlineAtMs === undefined) return undefined
    // Both times are the server's, so its clock need not agree with ours.
    const leftMs = Math.max(0, attemptDeadlineAtMs - (expiresAtMs - leaseMs))
    return setTimer(() => this.expire(leaseName(claimed)), leftMs + 1)
  }

  private async expire(name: string): Promise<void> {
    const attempt = this.running.get(name)
    if (attempt === undefined) return
    attempt.cause ??= 'timeOut'
    await this.renew([attempt]).catch(this.options.onError)
    if (!this.isRunning(attempt) || attempt.settling !== undefined) return
    attempt.deadline = setTimer(() => this.expire(name), deadlineRetryMs)
  }

  private lose(attempt: RunningAttempt, error: EngineError): void {
    attempt.deadline?.clear()
    this.running.delete(leaseName(attempt.claimed))
    if (attempt.settling !== undefined) return
    attempt.abort.abort(lossReason(attempt.claimed, error, attempt.cause))
  }
}

async function settleOnce(
  backend: PoolBackend,
  handle: Handle,
  performed: Settling,
): Promise<void> {
  switch (performed.outcome) {
    case 'completed':
      await backend.complete(handle, performed.payload)
      return
    case 'failed':
      await backend.fail(handle, performed.reason, performed.failureClass)
      return
    case 'delayed':
      await backend.delay(handle, performed.untilMs)
      return
  }
}
