// What a backend needs of a store: operations by name, and to hear when something happened.
import type { ExecutionEventName } from '../machines/execution.ts'
import type { Answer, Arguments, OperationName } from './contract.ts'

/** How far an acknowledged write has got; see docs/concepts/durability.md. */
export type Durability = 'memory' | 'directory' | 'everysec' | 'always'

/** What a store tells its listeners. */
export type StoreNotice =
  /** There is something to claim in a lane `inMs` from now on. */
  | {
      readonly notice: 'lane'
      readonly partition: number
      readonly lane: string
      readonly inMs: number
    }
  /** A watched execution ended. */
  | { readonly notice: 'ended'; readonly partition: number; readonly local: string }
  /** Work was left for later that any process may do. */
  | { readonly notice: 'backlog'; readonly partition: number }
  /** A lease was taken from its holder: by an operator, by the clock, by a flow. */
  | {
      readonly notice: 'lost'
      readonly partition: number
      readonly local: string
      readonly epoch: number
      readonly event: ExecutionEventName
    }
  /** Something was told in the feed that somebody waits for. */
  | { readonly notice: 'events'; readonly partition: number }
  /** Other partitions have to be told something about slots of limits. */
  | { readonly notice: 'owed'; readonly partition: number }
  /** An execution whose streams somebody waits for has new frames, or its attempt is over. */
  | { readonly notice: 'frames'; readonly partition: number; readonly local: string }
  /** Notices may have been missed: look at everything again. */
  | { readonly notice: 'gap' }

export interface Store {
  readonly kind: 'valkey' | 'embedded'
  readonly partitionCount: number
  readonly durability: Durability
  /** Performs one operation atomically in one partition. Safe to repeat after any failure. */
  call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Answer<Name>>
  /**
   * Calls `listener` for every notice until the returned function is called. Once the promise
   * resolves, nothing that happens later is missed without a `gap` notice.
   */
  listen(listener: (notice: StoreNotice) => void): Promise<() => void>
  close(): Promise<void>
}
