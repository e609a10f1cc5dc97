// Runs the audit of one tree on an engine: a flow of its packages, continued if already begun.

import {
  type Engine,
  type Execution,
  type ExecutionId,
  type ExecutionSnapshot,
  isEngineError,
} from '../src/index.ts'
import type { PackageAudit } from './audit.ts'
import { type BegunAudit, beginAudit } from './begin.ts'
import type { DependencyGraph } from './dependencies.ts'
import { Held } from './held.ts'
import type { InstalledPackage, PackageTree } from './packages.ts'
import { stopFlow } from './standing.ts'
import { Waiting, type WaitingWatch } from './waiting.ts'

export interface RunOptions {
  /** Tells this audit from those that `--fresh` has left behind. */
  readonly runId: string
  readonly paceMs: number
  readonly concurrency: number
  /** Fires when the user wants to stop. */
  readonly signal: AbortSignal
  readonly watch: RunWatch
}

export interface RunWatch extends WaitingWatch {
  started(earlier: EarlierRun, packages: number): void
  /** So many packages cannot be audited yet, because what they depend on is not. */
  held(count: number): void
  /** Called once for each package, also for those that an earlier run had finished. */
  ended(name: string, audit: PackageAudit | undefined, waiting: number): void
}

/** What an earlier run left. */
export interface EarlierRun {
  readonly finished: number
  /** Begun and not finished: other workers, or attempts that died with their process. */
  readonly begun: number
  /** Suspended until somebody approves a licence. */
  readonly waiting: number
}

export type Outcome = 'completed' | 'failed' | 'cancelled' | 'expired' | 'skipped'

/** Executions by the state in which they ended. */
export type OutcomeCounts = Record<Outcome, number>

export interface Loss {
  readonly package: InstalledPackage
  readonly outcome: Exclude<Outcome, 'completed'>
  readonly reason: string
}

export interface RunResult {
  /** In the order of the tree, whatever the order in which they ended. */
  readonly audits: readonly PackageAudit[]
  readonly losses: readonly Loss[]
  readonly earlier: EarlierRun
  /** How many are left that wait for an approval. */
  readonly waiting: number
  readonly interrupted: boolean
}

export async function runAudit(
  engine: Engine,
  tree: PackageTree,
  graph: DependencyGraph,
  options: RunOptions,
): Promise<RunResult> {
  const { watch } = options
  const begun = await beginAudit(engine, tree, graph, options)
  const waiting = new Waiting(engine, watch)
  // Before the worker starts, so that this run's own work is not taken for an earlier one's.
  const snapshots = await Promise.all(begun.known.map((execution) => execution.describe()))
  watch.started(countEarlier(snapshots), tree.packages.length)
  const verdicts: (PackageAudit | Loss | undefined)[] = tree.packages.map(() => undefined)
  const held = new Held(graph)
  watch.held(held.count)
  const arrivals = begun.executions.map(async (execution, index) => {
    const installed = tree.packages[index] as InstalledPackage
    waiting.add(installed, execution)
    const verdict = await verdictOf(installed, execution)
    waiting.forget(execution.id)
    if (verdict === undefined) return
    verdicts[index] = verdict
    held.ended(index)
    watch.held(held.count)
    const found = isLoss(verdict) ? undefined : verdict
    watch.ended(`${installed.name}@${installed.version}`, found, waiting.count)
  })
  const following = () => waiting.follow(suspendedIn(snapshots))
  const whole = async () => {
    await Promise.all(arrivals)
    await begun.tally.result().catch((error) => {
      if (!isStopped(error)) throw error
    })
  }
  const left = await work(engine, begun, waiting, { ...options, whole, following })
  await lateArrivals(begun.executions, verdicts, arrivals)
  const ended = verdicts.filter((verdict) => verdict !== undefined)
  return {
    audits: ended.filter((verdict): verdict is PackageAudit => !isLoss(verdict)),
    losses: ended.filter(isLoss),
    earlier: countEarlier(snapshots),
    waiting: left,
    interrupted: ended.length < tree.packages.length,
  }
}

interface Working extends RunOptions {
  readonly whole: () => Promise<void>
  readonly following: () => Promise<void>
}

/** Works until all is done or the user wants to stop; how many packages then wait for somebody. */
async function work(
  engine: Engine,
  { run, tasks }: BegunAudit,
  waiting: Waiting,
  { concurrency, signal, whole, following }: Working,
): Promise<number> {
  // A short lease: after a kill, the packages that were in work are free again in a moment.
  const worker = await engine.work(tasks, { concurrency, lease: '2s' })
  let left = 0
  try {
    await Promise.race([whole(), aborted(signal), failureOf(following())])
    left = waiting.count
    if (signal.aborted) await stopFlow(run, 'stopped by its user')
  } finally {
    // Waits for the packages in work, so that an interrupted run leaves none half done.
    await worker.stop()
    await waiting.close()
  }
  return left
}

/** Those packages have ended by now, but word of it may still be on its way. */
async function lateArrivals(
  executions: readonly Execution<PackageAudit>[],
  verdicts: readonly unknown[],
  arrivals: readonly Promise<void>[],
): Promise<void> {
  await Promise.all(
    executions.map(async (execution, index) => {
      if (verdicts[index] !== undefined) return
      const state = (await execution.describe())?.publicState
      if (state !== undefined && isTerminal(state)) await arrivals[index]
    }),
  )
}

/** Undefined when its flow was stopped before it was audited. */
async function verdictOf(
  installed: InstalledPackage,
  execution: Execution<PackageAudit>,
): Promise<PackageAudit | Loss | undefined> {
  try {
    return await execution.result()
  } catch (error) {
    return isStopped(error) ? undefined : lossOf(installed, error)
  }
}

function isStopped(error: unknown): boolean {
  return isEngineError(error, 'execution_cancelled') && error.details.reason === 'flow_cancelled'
}

export function countOutcomes(result: RunResult): OutcomeCounts {
  const counts = { completed: 0, failed: 0, cancelled: 0, expired: 0, skipped: 0 }
  counts.completed = result.audits.length
  for (const { outcome } of result.losses) counts[outcome] += 1
  return counts
}

function countEarlier(snapshots: readonly (ExecutionSnapshot | undefined)[]): EarlierRun {
  const earlier = { finished: 0, begun: 0, waiting: 0 }
  for (const snapshot of snapshots) {
    if (snapshot === undefined) continue
    if (isTerminal(snapshot.publicState)) earlier.finished += 1
    else if (snapshot.publicState === 'suspended') earlier.waiting += 1
    else if (snapshot.totalAttempts > 0) earlier.begun += 1
  }
  return earlier
}

function suspendedIn(snapshots: readonly (ExecutionSnapshot | undefined)[]): ExecutionId[] {
  return snapshots.flatMap((snapshot) =>
    snapshot?.publicState === 'suspended' ? [snapshot.executionId] : [],
  )
}

function isLoss(verdict: PackageAudit | Loss): verdict is Loss {
  return 'outcome' in verdict
}

function isTerminal(state: string): boolean {
  return state === 'completed' || state in lossCodes
}

/** The state in which an execution ended, and the code with which its `result()` then rejects. */
const lossCodes = {
  failed: 'execution_failed',
  cancelled: 'execution_cancelled',
  expired: 'execution_expired',
  skipped: 'execution_skipped',
} as const

function lossOf(installed: InstalledPackage, error: unknown): Loss {
  const code = (error as { code?: unknown }).code
  const outcome = (Object.keys(lossCodes) as (keyof typeof lossCodes)[]).find(
    (state) => lossCodes[state] === code,
  )
  // Anything else says nothing about the package: a lost connection must not look like a verdict.
  if (outcome === undefined) throw error
  return {
    package: installed,
    outcome,
    reason: error instanceof Error ? error.message : `${error}`,
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** Rejects if the work does; that it comes to an end is no news. */
function failureOf(work: Promise<void>): Promise<never> {
  return new Promise((_resolve, reject) => {
    work.catch(reject)
  })
}
