// Carries what partitions have to tell each other about slots; any process may, at any time.
import { isEngineError } from '../errors.ts'
import type { OwedRow } from './generated/operations.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'

const rowsPerCall = 64

export class LimitRelay {
  private readonly store: Store
  private listening: Promise<() => void> | undefined
  /** Partitions that are being looked at, and whether there was news meanwhile. */
  private readonly running = new Map<number, { again: boolean }>()

  constructor(store: Store) {
    this.store = store
  }

  /** Tells from now on what has to be told as soon as it comes up. One partition has no others. */
  async listen(): Promise<void> {
    if (this.store.partitionCount === 1) return
    this.listening ??= this.store.listen((notice) => {
      // What fails now is found again by the next sweep.
      if (notice.notice === 'owed') void this.run(notice.partition).catch(() => undefined)
    })
    try {
      await this.listening
    } catch (error) {
      this.listening = undefined
      throw error
    }
  }

  /** Tells what one partition has to tell by now. */
  async run(partition: number): Promise<void> {
    const known = this.running.get(partition)
    if (known !== undefined) {
      known.again = true
      return
    }
    const state = { again: true }
    this.running.set(partition, state)
    try {
      while (state.again) {
        state.again = false
        const args = { count: rowsPerCall }
        const { owed, more } = await storedCall(this.store, partition, 'limit.owed', args)
        await Promise.all(owed.map((row) => this.tell(partition, row)))
        state.again ||= more
      }
    } catch (error) {
      if (!isEngineError(error, 'engine_closed')) throw error
    } finally {
      this.running.delete(partition)
    }
  }

  private async tell(from: number, row: OwedRow): Promise<void> {
    if (row.kind === 'ask') await this.ask(from, row)
    else if (row.kind === 'check') await this.admit(row.partition, from, row)
    else await this.release(row.partition, from, row, row.kind === 'release')
    await storedCall(this.store, from, 'limit.settle', { row: row.row })
  }

  private async ask(from: number, row: OwedRow): Promise<void> {
    const { limit, key, share, id, ticket, created_at, priority } = row
    const request = { limit, key, share, partition: from, id, ticket, created_at, priority }
    const { outcome } = await storedCall(this.store, row.partition, 'limit.acquire', request)
    if (outcome === 'admitted') await this.admit(from, row.partition, row)
  }

  /** Tells an execution that it has a slot; one that needs none any more gives it back. */
  private async admit(partition: number, home: number, row: OwedRow): Promise<void> {
    const { id, limit, key, ticket } = row
    const request = { id, limit, key, ticket }
    const { outcome } = await storedCall(this.store, partition, 'limit.admit', request)
    // Nobody knows any more whether it began: what is counted in vain leaves with its window.
    if (outcome === 'unneeded') await this.release(home, partition, row, true)
  }

  private async release(
    home: number,
    partition: number,
    { limit, key, share, id, ticket }: OwedRow,
    began: boolean,
  ): Promise<void> {
    const request = { limit, key, share, partition, id, ticket, began }
    await storedCall(this.store, home, 'limit.release', request)
  }
}
