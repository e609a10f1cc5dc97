// A submitted execution, as its submitter holds it.
import { EngineError, type ErrorCode } from '../errors.ts'
import type { ExecutionId } from '../ids.ts'
import type { EngineBackend, ExecutionEnding, ExecutionSnapshot } from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import type { Endings } from './endings.ts'
import type { Codec } from './json-codec.ts'

export interface ExecutionParts {
  readonly backend: Pick<EngineBackend, 'describeExecution' | 'cancelExecution'>
  readonly endings: Endings
  readonly codec: Codec
}

/** One execution: wait for its result, look at it, cancel it. Any process can hold it by its id. */
export class Execution<Output = unknown> {
  readonly id: ExecutionId
  /** True when the idempotency key had already made this execution. */
  readonly duplicate: boolean
  private readonly parts: ExecutionParts

  /** @internal */
  constructor(id: ExecutionId, duplicate: boolean, parts: ExecutionParts) {
    this.id = id
    this.duplicate = duplicate
    this.parts = parts
  }

  /**
   * Waits for the end and returns what the task returned. Safe to call at any time, any number of
   * times, from any process, until retention forgets the execution.
   *
   * @throws EngineError `execution_failed`, `execution_cancelled`, `execution_expired` or
   * `execution_skipped` when it ended otherwise; `result_timeout`; `execution_not_found`.
   */
  async result(options: { readonly timeout?: Duration } = {}): Promise<Output> {
    const { timeout } = options
    const timeoutMs = timeout === undefined ? undefined : parseDurationMs(timeout, 'timeout')
    const ending = await this.parts.endings.of(this.id, timeoutMs)
    if (ending.outcome !== 'completed') throw endingError(this.id, ending)
    const { result } = ending
    return (result === undefined ? undefined : this.parts.codec.decode(result)) as Output
  }

  /** Everything small about it; undefined when retention has forgotten it. */
  describe(): Promise<ExecutionSnapshot | undefined> {
    return this.parts.backend.describeExecution(this.id)
  }

  /** Ends it as cancelled, whoever works on it; that attempt's signal fires at its next renewal. */
  async cancel(reason = 'cancelled by the application'): Promise<void> {
    await this.parts.backend.cancelExecution(this.id, reason)
  }
}

function endingError(
  id: ExecutionId,
  ending: Exclude<ExecutionEnding, { outcome: 'completed' }>,
): EngineError {
  const details: Record<string, unknown> = { executionId: id, reason: ending.reason }
  let what = ending.reason
  if (ending.outcome === 'failed') {
    details.failureClass = ending.failureClass
    details.message = ending.failure?.message
    what = ending.failure?.message ?? ending.reason
  } else if (ending.outcome === 'cancelled') {
    details.message = ending.message
    what = ending.message || ending.reason
  }
  const code: ErrorCode = `execution_${ending.outcome}`
  return new EngineError(code, `execution ${id} ${ending.outcome}: ${what}`, { details })
}
