// Work that a running task adds and waits for: found again, and not added twice, in later runs.
import { EngineError, isEngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import type { Choice } from '../limits.ts'
import type {
  ClaimedExecution,
  EdgeSnapshot,
  EngineBackend,
  FlowId,
  FlowMember,
  GraphChange,
  Join,
  UpstreamResult,
} from '../persistence/backend.ts'
import { childEdge } from './inputs.ts'
import type { Codec } from './json-codec.ts'
import { checkJoin, MemberNames, membersThatFit } from './member.ts'
import { memoised } from './memo.ts'
import { type Outcome, type OutcomeSource, readOutcome, type Upstreams } from './outcome.ts'
import { prepareSubmission, type WorkSubmitOptions } from './submission.ts'
import type { AnyTask, Task } from './task.ts'
import type { WaitLine } from './wait-line.ts'

export interface SpawnOptions extends WorkSubmitOptions {
  /**
   * By which a later run of the task finds this child again. Only needed when the order in which
   * the task spawns may change. @defaultValue the task's name and a number
   */
  readonly name?: string
}

/** A child, as its parent holds it. */
export interface Child {
  readonly executionId: ExecutionId
  readonly name: string
}

/** What a child came to. */
export type ChildOutcome<Result = unknown> = Outcome<Result> &
  OutcomeSource & { readonly name: string }

export interface WaitChildrenOptions {
  /** How many must complete: `all`, `any` (one), or a `quorum` of `k`. @defaultValue 'all' */
  readonly policy?: Choice<'join_policy'>
  /** For a `quorum`: how many. */
  readonly k?: number
  /** Whether the `first` failure decides, or `all` have to end. @defaultValue 'all' */
  readonly collect?: Choice<'join_collect'>
  /** When too many failed: go on, or fail. @defaultValue 'resume' */
  readonly impossible?: 'resume' | 'fail'
}

export type ChildrenBackend = Pick<
  EngineBackend,
  | 'applyGraph'
  | 'createFlow'
  | 'delay'
  | 'describeExecution'
  | 'listEdges'
  | 'memberId'
  | 'resolveExecutionFlowId'
  | 'waitChildren'
>

export interface ChildrenParts {
  readonly backend: ChildrenBackend
  readonly codec: Codec
  readonly claimed: ClaimedExecution
  readonly task: AnyTask
  readonly upstreams: Upstreams
  readonly line: WaitLine
  /** Resolves when nothing that the task began is on its way: parking would have it refused. */
  readonly settled: () => Promise<void>
  /** Called once the execution is parked: the attempt is over for this worker. */
  readonly parked: () => void
  /** When this process got the lease, by its own clock. */
  readonly claimedMs: number
}

/** So often is looked at children that were replayed after they had told of their end. */
const replayedChildMs = 500

/** Where this run's children belong. */
interface Home {
  readonly flowId: FlowId
  /** Whether the flow is there for the parent alone, who then also says that it may end. */
  readonly isOwn: boolean
  /** Whether that flow begins with the first child of this run. */
  readonly isNew: boolean
  /** What the names of children follow from, beside their own. */
  readonly stem: string
}

interface Spawned extends Child {
  readonly task: string
}

interface Waiting {
  readonly member: FlowMember
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Children {
  private readonly parts: ChildrenParts
  private readonly names = new MemberNames()
  private readonly spawning: Promise<Spawned>[] = []
  private readonly queue: Waiting[] = []
  private sending: Promise<void> | undefined
  /** Which children earlier runs of the task have spawned. */
  private readonly recall = memoised(() => this.outcomes(() => this.parts.upstreams.all()))
  private readonly home = memoised(() => this.findHome())

  constructor(parts: ChildrenParts) {
    this.parts = parts
  }

  spawn<Input>(task: Task<Input, unknown>, input: Input, options: SpawnOptions): Promise<Child> {
    // Counted at once: the order of the calls is what a later run repeats.
    const name = this.names.take(task.name, options.name)
    const spawning = this.add(task, input, options, name)
    this.spawning.push(spawning)
    return spawning.then(({ executionId }) => ({ executionId, name }))
  }

  waitChildren(options: WaitChildrenOptions): Promise<readonly ChildOutcome[]> {
    return this.parts.line.join(() => this.wait(options))
  }

  private async add<Input>(
    task: Task<Input, unknown>,
    input: Input,
    options: SpawnOptions,
    name: string,
  ): Promise<Spawned> {
    const { backend, codec } = this.parts
    const submission = await prepareSubmission(codec, task, input, options)
    const { flowId, stem } = await this.home()
    const executionId = backend.memberId(flowId, `${stem} ${name}`)
    const child = { executionId, name, task: task.name }
    if (!(await this.recall()).has(executionId))
      await this.enqueue({ ...submission, id: executionId })
    return child
  }

  private enqueue(member: FlowMember): Promise<void> {
    return new Promise((resolve, reject) => {
      this.queue.push({ member, resolve, reject })
      this.sending ??= this.send()
    })
  }

  private async send(): Promise<void> {
    // What is spawned in one turn travels together.
    await Promise.resolve()
    while (this.queue.length > 0) {
      const count = membersThatFit(this.queue.map(({ member }) => member))
      await this.sendBatch(this.queue.splice(0, count))
    }
    this.sending = undefined
  }

  private async sendBatch(batch: readonly Waiting[]): Promise<void> {
    const { backend, claimed, task } = this.parts
    const { executionId, handle } = claimed
    try {
      const { flowId, isOwn, isNew } = await this.home()
      const change: GraphChange = {
        members: batch.map(({ member }) => member),
        edges: batch.map(({ member }) => ({
          upstream: member.id,
          downstream: executionId,
          name: childEdge,
        })),
        finish: isOwn,
        parent: handle,
      }
      // What becomes of the parent's own flow is what the parent comes to.
      const own = { flowId, kind: task.name, completion: 'root', root: executionId } as const
      await (isNew ? backend.createFlow(own, change) : backend.applyGraph(flowId, change))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      // What is wrong with one child is not the fault of the others.
      if (batch.length > 1 && isEngineError(error) && !error.retryable) {
        for (const one of batch) await this.sendBatch([one])
      } else {
        for (const { reject } of batch) reject(error)
      }
    }
  }

  private async wait(options: WaitChildrenOptions): Promise<readonly ChildOutcome[]> {
    const { backend, claimed, parked } = this.parts
    const { policy = 'all', k, collect = 'all', impossible = 'resume' } = options
    const settled = await Promise.allSettled(this.spawning)
    // First what has told of its end, then what came of it: what ends in between is seen again.
    const edges = await this.edges()
    const known = await this.outcomes(() => this.parts.upstreams.readAll())
    const children = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const outcomes = children.map((child): ChildOutcome => {
      const outcome = known.get(child.executionId) ?? { outcome: 'unfinished' }
      return { ...outcome, ...child }
    })
    const counted = countOutcomes(outcomes)
    checkQuorum(policy, k, counted.total)
    const verdict = verdictOf(counted, { policy, k, collect })
    if (verdict === 'impossible' && impossible === 'fail') throw childrenFailed(outcomes)
    if (verdict !== 'pending') return outcomes
    const awaited = awaitedOf(outcomes, edges)
    await this.parts.settled()
    if (awaited === 0) {
      await backend.delay(claimed.handle, this.serverNowMs() + replayedChildMs)
    } else {
      // Those that have completed are not counted a second time.
      const left = k === undefined ? undefined : Math.min(k - counted.satisfied, awaited)
      const seen = edges?.filter(({ state }) => state !== 'pending').length
      await backend.waitChildren(claimed.handle, { policy, k: left, collect, impossible }, seen)
    }
    parked()
    // Nothing after this line runs in this attempt; the next claim runs the task again.
    return new Promise<never>(() => undefined)
  }

  /** The edges from children; a first run knows without asking that nothing is told yet. */
  private async edges(): Promise<readonly EdgeSnapshot[] | undefined> {
    const { backend, claimed } = this.parts
    if (isFirstRun(claimed)) return undefined
    const { flowId } = await this.home()
    const edges = await backend.listEdges(flowId, { incoming: claimed.executionId })
    return edges.filter(({ name }) => name === childEdge)
  }

  private serverNowMs(): number {
    const { claimed, claimedMs } = this.parts
    const sinceMs = Math.round(performance.now() - claimedMs)
    return claimed.expiresAtMs - claimed.leaseMs + sinceMs
  }

  /** What the children have come to; those of a first run are too new to have come to anything. */
  private async outcomes(
    read: () => Promise<readonly UpstreamResult[]>,
  ): Promise<ReadonlyMap<ExecutionId, Outcome>> {
    const { claimed, codec } = this.parts
    if (isFirstRun(claimed)) return new Map()
    const children = (await read()).filter(({ name }) => name === childEdge)
    return new Map(children.map((one) => [one.executionId, readOutcome(codec, one)]))
  }

  private async findHome(): Promise<Home> {
    const { backend, claimed } = this.parts
    const { executionId } = claimed
    const own = backend.memberId(executionId, 'flow')
    const [flowId, snapshot] = await Promise.all([
      backend.resolveExecutionFlowId(executionId),
      isFirstRun(claimed) ? undefined : backend.describeExecution(executionId),
    ])
    const stem = `child ${parseExecutionId(executionId).local} ${snapshot?.replays ?? 0}`
    const isNew = flowId === undefined
    return { flowId: flowId ?? own, isOwn: isNew || flowId === own, isNew, stem }
  }
}

function isFirstRun({ handle, attempt }: ClaimedExecution): boolean {
  return handle.kind === 'fresh' && attempt === 0
}

/**
 * How many of these have not ended and will tell the store so. One that an operator replays after
 * it told its parent will not tell a second time.
 */
function awaitedOf(
  children: readonly ChildOutcome[],
  edges: readonly EdgeSnapshot[] | undefined,
): number {
  const unfinished = children.filter(({ outcome }) => outcome === 'unfinished')
  if (edges === undefined) return unfinished.length
  const untold = new Set(edges.flatMap((edge) => (edge.state === 'pending' ? edge.upstream : [])))
  return unfinished.filter(({ executionId }) => untold.has(executionId)).length
}

interface Counted {
  readonly total: number
  readonly satisfied: number
  readonly failed: number
}

function countOutcomes(outcomes: readonly Outcome[]): Counted {
  const unfinished = outcomes.filter(({ outcome }) => outcome === 'unfinished').length
  const satisfied = outcomes.filter(({ outcome }) => outcome === 'completed').length
  const total = outcomes.length
  return { total, satisfied, failed: total - satisfied - unfinished }
}

/** What the store would say; see lua/lib/group.lua. */
function verdictOf(
  { total, satisfied, failed }: Counted,
  { policy, k = 1, collect }: Pick<Join, 'policy' | 'k' | 'collect'>,
): 'pending' | 'satisfied' | 'impossible' {
  if (policy === 'all') {
    if (satisfied === total) return 'satisfied'
    const isOver = collect === 'first' || satisfied + failed === total
    return failed > 0 && isOver ? 'impossible' : 'pending'
  }
  if (satisfied >= k || total === 0) return 'satisfied'
  return failed > total - k ? 'impossible' : 'pending'
}

function checkQuorum(policy: Join['policy'], k: number | undefined, total: number): void {
  checkJoin({ policy, k })
  if (k === undefined || k <= total) return
  throw new EngineError('quorum_unreachable', `${k} of ${total} children cannot complete`, {
    details: { k, n: total },
  })
}

function childrenFailed(outcomes: readonly ChildOutcome[]): EngineError {
  const failed = outcomes.filter(
    ({ outcome }) => outcome !== 'completed' && outcome !== 'unfinished',
  )
  const names = failed.map(({ name }) => name)
  return new EngineError('dependency_failed', `children did not complete: ${names.join(', ')}`, {
    details: { children: failed.map(({ executionId }) => executionId) },
  })
}
