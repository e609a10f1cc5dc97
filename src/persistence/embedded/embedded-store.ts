// The store inside this process: operations on memory, kept in a directory when there is one.
import { EngineError, isEngineError } from '../../errors.ts'
import { counts } from '../../limits.ts'
import { type Clock, systemClock } from '../../time.ts'
import { checkArguments } from '../arguments.ts'
import type { Answer, Arguments, OperationName } from '../contract.ts'
import type { Durability, Store, StoreNotice } from '../store.ts'
import { runAdmissions } from './admission.ts'
import { CallContext } from './call-context.ts'
import { CommitOrder } from './commit-order.ts'
import type { RecordDirectory } from './directory.ts'
import { type DumpedValue, dumpKeyspace } from './dump.ts'
import { Keyspace } from './keyspace.ts'
import { operations } from './operations/table.ts'
import { rebuildKeyspace } from './rebuild.ts'
import { encodeRecords } from './record-codec.ts'
import { workIn } from './work.ts'

export interface EmbeddedStoreOptions {
  /** The only time that decides anything; tests hand in one that they can set. */
  readonly clock?: Clock | undefined
  /** Where records are kept; without one everything is gone with the process. */
  readonly directory?: RecordDirectory | undefined
  /** What the store promises; by default what follows from there being a directory. */
  readonly durability?: Durability | undefined
}

/** Rebuilds what the directory holds, or starts empty. The store closes the directory. */
export async function openEmbeddedStore(
  options: EmbeddedStoreOptions = {},
): Promise<EmbeddedStore> {
  const { directory } = options
  const keyspace = directory === undefined ? new Keyspace(false) : rebuildKeyspace(directory.load())
  const store = new EmbeddedStore(keyspace, options)
  const answer = await store.call(0, 'partition.open', { partitions: store.partitionCount })
  if (answer.outcome === 'opened') return store
  throw new EngineError(
    'partition_mismatch',
    `the directory has ${answer.details.stored} partitions, not ${store.partitionCount}`,
    { details: answer.details },
  )
}

/** How long calls may follow each other before the event loop has its turn. */
const busyMaxMs = 10

/** A call that waits for the end of the tick. */
interface QueuedCall {
  readonly name: OperationName
  readonly args: unknown
  readonly resolve: (answer: never) => void
  readonly reject: (error: unknown) => void
}

/** What a call will be told once everything before it is durable. */
type Outcome = { readonly answer: unknown } | { readonly error: EngineError }

export class EmbeddedStore implements Store {
  readonly kind = 'embedded'
  readonly partitionCount = 1
  readonly durability: Durability
  private readonly keyspace: Keyspace
  private readonly clock: Clock
  private readonly directory: RecordDirectory | undefined
  private readonly commits: CommitOrder | undefined
  private readonly listeners = new Set<(notice: StoreNotice) => void>()
  private queue: QueuedCall[] = []
  private scheduled = false
  /** When the event loop last had its turn; undefined from then until the next call. */
  private busySinceMs: number | undefined
  private closing: Promise<void> | undefined

  constructor(keyspace: Keyspace, options: EmbeddedStoreOptions) {
    const { directory } = options
    this.keyspace = keyspace
    this.clock = options.clock ?? systemClock()
    this.directory = directory
    this.commits = directory === undefined ? undefined : new CommitOrder(directory)
    this.durability = options.durability ?? (directory === undefined ? 'memory' : 'directory')
  }

  call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Answer<Name>> {
    return new Promise((resolve, reject) => {
      if (this.closing !== undefined) {
        throw new EngineError('engine_closed', `${name} was called after closing`)
      }
      checkArguments(name, args)
      if (partition !== 0) {
        throw new EngineError('invalid_input', `there is no partition ${partition}`, {
          details: { argument: 'partition', partitions: this.partitionCount },
        })
      }
      this.queue.push({ name, args, resolve, reject })
      if (this.scheduled) return
      this.scheduled = true
      this.schedule()
    })
  }

  async listen(listener: (notice: StoreNotice) => void): Promise<() => void> {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Answers what was called before, then closes the directory. */
  close(): Promise<void> {
    this.closing ??= this.finish()
    return this.closing
  }

  /** Everything stored, as it stands in memory, in one canonical form. */
  dump(): Map<string, DumpedValue> {
    return dumpKeyspace(this.keyspace)
  }

  private async finish(): Promise<void> {
    this.listeners.clear()
    this.flush()
    await this.commits?.drained()
    await this.directory?.close()
  }

  /**
   * From a promise's continuation the flush runs after all others of the same tick. Work that goes
   * on and on in such ticks would keep timers and sockets waiting: now and then they get a turn.
   */
  private schedule(): void {
    const nowMs = performance.now()
    if (this.busySinceMs === undefined) {
      this.busySinceMs = nowMs
      setImmediate(() => {
        this.busySinceMs = undefined
      })
    }
    if (nowMs - this.busySinceMs < busyMaxMs) process.nextTick(() => this.flush())
    else setImmediate(() => this.flush())
  }

  private flush(): void {
    this.scheduled = false
    const queue = this.queue
    this.queue = []
    if (queue.length <= counts.batchMax) this.perform(queue)
    else {
      for (let from = 0; from < queue.length; from += counts.batchMax) {
        this.perform(queue.slice(from, from + counts.batchMax))
      }
    }
  }

  /** Applies one batch in memory and answers it once it is durable. */
  private perform(calls: readonly QueuedCall[]): void {
    if (calls.length === 0) return
    const { commits, keyspace } = this
    if (commits?.failure !== undefined) {
      for (const { reject } of calls) reject(commits.failure)
      return
    }
    const context = new CallContext(keyspace, this.clock.nowUs())
    const outcomes = calls.map(({ name, args }) => {
      const outcome = apply(context, name, args)
      followUp(context)
      return outcome
    })
    const notices = context.finish()
    if (commits === undefined) {
      this.answer(calls, outcomes, notices)
      return
    }
    commits.add(encodeRecords(keyspace, keyspace.changes.take()), (failure) => {
      if (failure === undefined) this.answer(calls, outcomes, notices)
      else for (const { reject } of calls) reject(failure)
    })
  }

  private answer(
    calls: readonly QueuedCall[],
    outcomes: readonly Outcome[],
    notices: readonly StoreNotice[],
  ): void {
    calls.forEach(({ resolve, reject }, at) => {
      const outcome = outcomes[at] as Outcome
      if ('error' in outcome) reject(outcome.error)
      else resolve(outcome.answer as never)
    })
    if (notices.length === 0) return
    // Whoever waits for an answer has it before a notice tells what came of it.
    queueMicrotask(() => process.nextTick(() => this.tell(notices)))
  }

  private tell(notices: readonly StoreNotice[]): void {
    for (const notice of notices) for (const listener of this.listeners) listener(notice)
  }
}

/**
 * Does what follows from an operation. What that frees of limits goes to those who wait for it;
 * what follows from there is for later.
 */
function followUp(context: CallContext): void {
  const { backlog } = context
  const perform = workIn(context)
  backlog.run(perform, counts.workPerCall)
  if (!context.hasNews) return
  backlog.push('admit')
  backlog.run(perform, 1)
}

function apply(context: CallContext, name: OperationName, args: unknown): Outcome {
  const operation = operations[name] as (call: CallContext, args: unknown) => unknown
  try {
    const answer = operation(context, args)
    runAdmissions(context)
    return { answer }
  } catch (cause) {
    if (isEngineError(cause)) return { error: cause }
    const why = cause instanceof Error ? cause.message : String(cause)
    return { error: new EngineError('invariant_broken', `${name}: ${why}`, { cause }) }
  }
}
