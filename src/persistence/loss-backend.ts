// Leases that are taken away, as backends tell of them: at once, in whatever process they are held.
import { type ExecutionId, formatExecutionId } from '../ids.ts'
import type { ExecutionEventName } from '../machines/execution.ts'
import type { Store } from './store.ts'

/** A lease that its holder did not give back. The epoch tells it from every other lease. */
export interface LostLease {
  readonly executionId: ExecutionId
  readonly epoch: number
  /** What took it away. */
  readonly event: ExecutionEventName
}

export interface LossBackend {
  /**
   * Calls `listener` with each lease that is taken from its holder, whoever took it, and with
   * undefined after a gap: then renew what is held, to be told. More about it says the refusal of
   * any call with its handle.
   */
  onLeaseLost(listener: (lost: LostLease | undefined) => void): Promise<() => void>
}

/** The part of a backend that tells of lost leases. */
export function lossOperations(store: Store): LossBackend {
  return {
    onLeaseLost: (listener) =>
      store.listen((notice) => {
        if (notice.notice === 'lost') {
          const { partition, local, epoch, event } = notice
          listener({ executionId: formatExecutionId(partition, local), epoch, event })
        } else if (notice.notice === 'gap') {
          listener(undefined)
        }
      }),
  }
}
