// Leases that may be lost: what was told of them before their attempts were known, and since.
import type { ClaimedExecution, LostLease } from '../persistence/backend.ts'

/** More than this told during one claim, and all that it brings is doubted. */
const toldMax = 1000

type Cause = LostLease['event'] | undefined

/** Names one lease, and no other. */
export function leaseName({ executionId, epoch }: Pick<LostLease, 'executionId' | 'epoch'>) {
  return `${executionId} ${epoch}`
}

/** What was told while a claim was under way: news of its leases may overtake its answer. */
export class ToldDuringClaim {
  private readonly causes = new Map<string, Cause>()
  private isUnsure = false

  /** Undefined: something may have been missed. */
  add(lost: LostLease | undefined): void {
    if (lost === undefined || this.causes.size >= toldMax) this.isUnsure = true
    else this.causes.set(leaseName(lost), lost.event)
  }

  doubts(claimed: ClaimedExecution): boolean {
    return this.isUnsure || this.causes.has(leaseName(claimed))
  }

  causeOf(claimed: ClaimedExecution): Cause {
    return this.causes.get(leaseName(claimed))
  }
}

/** Collects what is to be asked about, and wakes whoever asks. */
export class DoubtedLeases<Attempt> {
  private causes = new Map<Attempt, Cause>()
  private wake: (() => void) | undefined

  /** What is known of the cause stays known. */
  add(attempt: Attempt, cause: Cause): void {
    this.causes.set(attempt, cause ?? this.causes.get(attempt))
    this.wake?.()
  }

  /** All since the last time; waits for the first, or for the signal. */
  async take(signal: AbortSignal): Promise<ReadonlyMap<Attempt, Cause>> {
    if (this.causes.size === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          this.wake = undefined
          signal.removeEventListener('abort', finish)
          resolve()
        }
        this.wake = finish
        signal.addEventListener('abort', finish, { once: true })
      })
    }
    const taken = this.causes
    this.causes = new Map()
    return taken
  }
}
