// Lets answers out in the order of their calls, none before what it may tell is durable.
import { EngineError, isEngineError } from '../../errors.ts'
import type { RecordDirectory } from './directory.ts'

type Changes = ReadonlyMap<string, Uint8Array | undefined>

/** Called once everything up to here is durable, or with the reason why it never will be. */
type Settled = (failure: EngineError | undefined) => void

export class CommitOrder {
  private readonly directory: RecordDirectory
  /** Resolves when the last batch was settled; undefined when nothing is under way. */
  private tail: Promise<void> | undefined
  private firstFailure: EngineError | undefined

  constructor(directory: RecordDirectory) {
    this.directory = directory
  }

  /** Why nothing is written any more: memory is ahead of the directory since then. */
  get failure(): EngineError | undefined {
    return this.firstFailure
  }

  /** Commits the changes, if there are any, and settles after all batches before. */
  add(changes: Changes, settled: Settled): void {
    if (changes.size === 0 && this.tail === undefined) {
      settled(this.firstFailure)
      return
    }
    const committed = changes.size === 0 ? Promise.resolve() : this.directory.commit(changes)
    const tail = this.settle(this.tail, committed, settled)
    this.tail = tail
    void tail.then(() => {
      if (this.tail === tail) this.tail = undefined
    })
  }

  /** Resolves once everything added so far is settled. */
  async drained(): Promise<void> {
    await this.tail
  }

  private async settle(
    before: Promise<void> | undefined,
    committed: Promise<void>,
    settled: Settled,
  ): Promise<void> {
    const outcome = committed.then(
      () => undefined,
      (cause: unknown) => closedBy(cause),
    )
    await before
    this.firstFailure ??= await outcome
    settled(this.firstFailure)
  }
}

function closedBy(cause: unknown): EngineError {
  if (isEngineError(cause, 'directory_closed')) return cause
  return new EngineError('directory_closed', 'a write to the directory failed', { cause })
}
