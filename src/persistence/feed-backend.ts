// The feed as backends offer it: what happened to which execution, when, by whom, in which lease.
import type { ExecutionId } from '../ids.ts'
import type { ExecutionEventName, PublicState } from '../machines/execution.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import type { EventSource } from '../machines/sources.ts'
import type { FlowId, FlowState } from './backend-flow.ts'

export type { EventSource }

/** What the feed tells of: every move of the lifecycle, and that an execution was forgotten. */
export type FeedEventName = Exclude<ExecutionEventName, 'renew' | 'progress'> | 'purge' | 'signal'

/** Something that happened to an execution. */
export interface LifecycleEvent {
  /** Where to go on reading after this event; opaque, and good in any process. */
  readonly cursor: string
  readonly executionId: ExecutionId
  readonly flowId?: undefined
  readonly event: FeedEventName
  /** Where the execution was afterwards. */
  readonly state: LeafName
  readonly publicState: PublicState
  readonly atMs: number
  /** Index of its last attempt; undefined before the first one. */
  readonly attempt: number | undefined
  /** Fencing number of its last lease; undefined before the first one. */
  readonly epoch: number | undefined
  /** Who made it happen. */
  readonly by: EventSource
  /** The worker that held the lease, when it was a worker. */
  readonly worker: string | undefined
  /** A word more: why it ended, failed, was blocked; what kind of attempt began; the priority. */
  readonly detail: string | undefined
}

/** What became of a flow as a whole; its members have events of their own. */
export interface FlowEvent {
  readonly cursor: string
  readonly flowId: FlowId
  readonly executionId?: undefined
  /** It ended; it was cancelled more widely; or a member that runs again made it open again. */
  readonly event: 'endFlow' | 'cancelFlow' | 'reopenFlow'
  /** What it was afterwards. */
  readonly state: FlowState
  readonly publicState: FlowState
  readonly atMs: number
  readonly attempt?: undefined
  readonly epoch?: undefined
  readonly by: 'flow'
  readonly worker?: undefined
  /** Why it ended, where that is more than that its members have. */
  readonly detail: string | undefined
}

/** What the feed tells of. Whoever asks for `executionId` or `event` knows which it is. */
export type FeedEvent = LifecycleEvent | FlowEvent

/** Some events of one partition, in the order in which they happened. */
export interface EventPage {
  readonly events: readonly FeedEvent[]
  /** Where to go on after this page. */
  readonly cursor: string
  /** True when events after the given cursor were dropped: the page begins with the oldest kept. */
  readonly missed: boolean
  /** Whether there is more after this page already. */
  readonly more: boolean
}

/** How much of the feed each partition keeps; what exceeds either is dropped, the oldest first. */
export interface EventRetention {
  /** Up to 1 GiB, on top of the newest 16 KiB. */
  readonly bytes: number
  /** Events may outlive it by an hour. */
  readonly ms: number
}

/** Reading and following the feed. Events keep their order within a partition, not between them. */
export interface FeedBackend {
  /**
   * Events of one partition after the cursor. Without a cursor no events, but one to go on from:
   * where the feed ends now. The cursor `0.0` is the beginning of the feed.
   */
  readEvents(partition: number, cursor: string | undefined, count: number): Promise<EventPage>
  /** Like `readEvents`; and when there are none, the next one will be told to `onEvents`. */
  followEvents(partition: number, cursor: string, count: number): Promise<EventPage>
  /**
   * Calls `listener` with each partition that has events which somebody waits for, and with
   * undefined after a gap: then look at all of them.
   */
  onEvents(listener: (partition: number | undefined) => void): Promise<() => void>
  /** Changes how much is kept; at first a day and 16 MiB in each partition. */
  keepEvents(retention: EventRetention): Promise<void>
}
