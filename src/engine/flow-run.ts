// A submitted flow, as its submitter holds it.

import type { ExecutionId } from '../ids.ts'
import type {
  CancelFlowOutcome,
  CancelFlowPolicy,
  EngineBackend,
  FlowId,
  FlowMemberSummary,
  FlowSnapshot,
} from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import type { Execution } from './execution.ts'
import type { FlowEndings } from './flow-endings.ts'
import { FlowNode } from './flow-node.ts'

export interface FlowRunParts {
  readonly backend: Pick<EngineBackend, 'cancelFlow' | 'describeFlow' | 'listMembers' | 'memberId'>
  readonly endings: FlowEndings
  readonly execution: <Output>(id: ExecutionId) => Execution<Output>
}

export interface CancelFlowOptions {
  /**
   * `flow_only`: nothing that has not started starts any more, and lies where it is.
   * `cancel_pending`: all that is not running is cancelled; what runs may end, but is not retried.
   * `cancel_all`: everything is cancelled. @defaultValue 'cancel_all'
   */
  readonly policy?: CancelFlowPolicy
  /** How long to wait until all that the policy cancels is cancelled. @defaultValue no wait */
  readonly wait?: Duration | 'indefinite'
  /** Why, for those who look. */
  readonly reason?: string
}

const pageSize = 1000

/** One flow: wait for its end, look at it, cancel it. Any process can hold it by its id. */
export class FlowRun {
  readonly id: FlowId
  /** True when the flow was there before. */
  readonly duplicate: boolean
  private readonly parts: FlowRunParts

  /** @internal */
  constructor(id: FlowId, duplicate: boolean, parts: FlowRunParts) {
    this.id = id
    this.duplicate = duplicate
    this.parts = parts
  }

  /**
   * Waits for the end and tells what the flow came to: `completed`, `failed` or `cancelled`, with
   * how many of its executions ended how. A flow that was cancelled, or failed fast, has ended then
   * even if some of its executions still run.
   *
   * @throws EngineError `result_timeout`; `flow_not_found`; `engine_closed`.
   */
  result(options: { readonly timeout?: Duration } = {}): Promise<FlowSnapshot> {
    const { timeout } = options
    const timeoutMs = timeout === undefined ? undefined : parseDurationMs(timeout, 'timeout')
    return this.parts.endings.of(this.id, timeoutMs)
  }

  /** Everything small about it; undefined when retention has forgotten it. */
  describe(): Promise<FlowSnapshot | undefined> {
    return this.parts.backend.describeFlow(this.id)
  }

  /** The execution of one of its nodes, also by the node's name. */
  execution<Output>(node: FlowNode<Output>): Execution<Output>
  execution<Output = unknown>(name: string): Execution<Output>
  execution<Output>(node: FlowNode<Output> | string): Execution<Output> {
    const name = node instanceof FlowNode ? node.name : node
    return this.parts.execution(this.parts.backend.memberId(this.id, name))
  }

  /** All its executions, children of nodes included, with how each one's inbound edges stand. */
  async *members(): AsyncGenerator<FlowMemberSummary, void, undefined> {
    const { backend } = this.parts
    let cursor: ExecutionId | undefined
    do {
      const page: Awaited<ReturnType<EngineBackend['listMembers']>> = await backend.listMembers(
        this.id,
        cursor,
        pageSize,
      )
      yield* page.items
      cursor = page.nextCursor
    } while (cursor !== undefined)
  }

  /**
   * Ends the flow as cancelled. A wider policy can follow, a narrower one changes nothing. The
   * signal of an attempt that is cancelled fires at once.
   *
   * @throws EngineError `flow_not_found`; `cancel_timeout` when `wait` was too short: the rest is
   * cancelled all the same.
   */
  cancel(options: CancelFlowOptions = {}): Promise<CancelFlowOutcome> {
    const { policy = 'cancel_all', wait, reason = 'cancelled by the application' } = options
    const how =
      wait === undefined
        ? ('no_wait' as const)
        : wait === 'indefinite'
          ? wait
          : { timeoutMs: parseDurationMs(wait, 'wait') }
    return this.parts.backend.cancelFlow(this.id, policy, how, reason)
  }
}
