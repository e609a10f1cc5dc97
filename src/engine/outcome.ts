// What an upstream or a child came to, as a task gets it.
import type { ExecutionId } from '../ids.ts'
import type { EngineBackend, UpstreamResult } from '../persistence/backend.ts'
import { failureMessage } from '../persistence/snapshot.ts'
import type { Codec } from './json-codec.ts'
import { memoised } from './memo.ts'

/** What an execution came to. */
export type Outcome<Result = unknown> =
  | { readonly outcome: 'completed'; readonly result: Result }
  | {
      readonly outcome: 'failed' | 'cancelled' | 'expired' | 'skipped'
      /** A short word such as `failed`, `deadline`, `dependency_failed`. */
      readonly reason: string
      /** What the failure, or who cancelled it, said; empty when nothing was said. */
      readonly message: string
    }
  /** It has not ended, and its ending was not needed. */
  | { readonly outcome: 'unfinished' }

/** Who came to it. */
export interface OutcomeSource {
  readonly executionId: ExecutionId
  readonly task: string
}

export function readOutcome(codec: Codec, upstream: UpstreamResult): Outcome {
  const { executionId, publicState, ending, reason = '' } = upstream
  switch (publicState) {
    case 'completed':
      return {
        outcome: 'completed',
        result: ending === undefined ? undefined : codec.decode(ending),
      }
    case 'failed':
      return { outcome: 'failed', reason, message: failureMessage(executionId, ending) ?? '' }
    case 'cancelled':
      return { outcome: 'cancelled', reason, message: Buffer.from(ending ?? '').toString() }
    case 'expired':
    case 'skipped':
      return { outcome: publicState, reason, message: '' }
    default:
      return { outcome: 'unfinished' }
  }
}

const pageSize = 1000

/** Everything that an execution waits for or waited for. */
export class Upstreams {
  private readonly backend: Pick<EngineBackend, 'readInputs'>
  private readonly id: ExecutionId
  /** Everything, read once. */
  readonly all = memoised(() => this.readAll())

  constructor(backend: Pick<EngineBackend, 'readInputs'>, id: ExecutionId) {
    this.backend = backend
    this.id = id
  }

  /** Everything, as it stands now. */
  async readAll(): Promise<readonly UpstreamResult[]> {
    const found: UpstreamResult[] = []
    let after: number | undefined = 0
    while (after !== undefined) {
      const page: Awaited<ReturnType<EngineBackend['readInputs']>> = await this.backend.readInputs(
        this.id,
        after,
        pageSize,
      )
      found.push(...page.items)
      after = page.nextCursor
    }
    return found
  }
}
