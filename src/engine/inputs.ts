// What a node of a flow gets from the nodes that it came after.
import { EngineError } from '../errors.ts'
import type { UpstreamResult } from '../persistence/backend.ts'
import type { Codec } from './json-codec.ts'
import { type Outcome, type OutcomeSource, readOutcome } from './outcome.ts'

/** The name of the edges from children to their parent: no input of a node has it. */
export const childEdge = '+'

/** What one upstream came to, under the name that the node gave it. */
export type Input<Result = unknown> = Outcome<Result> &
  OutcomeSource & { readonly name: string | undefined }

/** What all upstreams of an execution came to. */
export class Inputs {
  /** In the order in which the node named them. */
  readonly list: readonly Input[]

  /** @internal */
  constructor(codec: Codec, upstreams: readonly UpstreamResult[]) {
    this.list = upstreams
      .filter(({ name }) => name !== childEdge)
      .map((upstream) => ({
        ...readOutcome(codec, upstream),
        executionId: upstream.executionId,
        task: upstream.task,
        name: upstream.name,
      }))
  }

  /** @throws EngineError `invalid_input` when no input has the name. */
  get<Result = unknown>(name: string): Input<Result> {
    const found = this.list.find((input) => input.name === name)
    if (found !== undefined) return found as Input<Result>
    throw new EngineError('invalid_input', `there is no input ${name}`, {
      details: { argument: 'name', given: name },
    })
  }

  /**
   * The result of an input that completed.
   *
   * @throws EngineError `dependency_failed` when it came to anything else; `invalid_input`.
   */
  result<Result = unknown>(name: string): Result {
    const input = this.get<Result>(name)
    if (input.outcome === 'completed') return input.result
    const { executionId, outcome } = input
    throw new EngineError('dependency_failed', `the input ${name} is ${outcome}`, {
      details: { name, executionId, outcome },
    })
  }
}
