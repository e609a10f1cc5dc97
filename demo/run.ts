// Runs the audit of one tree on an engine: one execution per package, continued if already begun.

import { createHash } from 'node:crypto'
import type { Engine, ExecutionId, ExecutionSnapshot, SubmitItemOutcome } from '../src/index.ts'
import { auditTask, type PackageAudit } from './audit.ts'
import type { InstalledPackage, PackageTree } from './packages.ts'
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
  options: RunOptions,
): Promise<RunResult> {
  const { signal, watch } = options
  const task = auditTask({ lane: laneOf(tree, options.runId), paceMs: options.paceMs })
  const submissions = await engine.submitMany(
    task,
    tree.packages.map(({ path, name, version }) => ({
      input: { root: tree.root, path, name, version },
      options: { idempotencyKey: keyOf(tree, options.runId, { path, name, version }) },
    })),
  )
  const waiting = new Waiting(engine, watch)
  const known = submissions.flatMap((one) => (one.outcome === 'duplicate' ? [one.execution] : []))
  // Before the worker starts, so that this run's own work is not taken for an earlier one's.
  const snapshots = await Promise.all(known.map((execution) => execution.describe()))
  watch.started(countEarlier(snapshots), tree.packages.length)

  const verdicts: (PackageAudit | Loss | undefined)[] = tree.packages.map(() => undefined)
  const arrivals = submissions.map(async (submission, index) => {
    const installed = tree.packages[index] as InstalledPackage
    if (submission.outcome !== 'refused') waiting.add(installed, submission.execution)
    const verdict = await verdictOf(installed, submission)
    verdicts[index] = verdict
    if (submission.outcome !== 'refused') waiting.forget(submission.execution.id)
    const found = isLoss(verdict) ? undefined : verdict
    watch.ended(`${installed.name}@${installed.version}`, found, waiting.count)
  })
  // A short lease: after a kill, the packages that were in work are free again in a moment.
  const worker = await engine.work([task], { concurrency: options.concurrency, lease: '2s' })
  const following = waiting.follow(suspendedIn(snapshots))
  try {
    await Promise.race([Promise.all(arrivals), aborted(signal), failureOf(following)])
  } finally {
    // Waits for the packages in work, so that an interrupted run leaves none half done.
    await worker.stop()
    await waiting.close()
  }
  // Those packages have ended by now, but word of it may still be on its way.
  const left = await Promise.all(
    submissions.map(async (submission, index) => {
      if (verdicts[index] !== undefined || submission.outcome === 'refused') return undefined
      const state = (await submission.execution.describe())?.publicState
      if (state !== undefined && isTerminal(state)) await arrivals[index]
      return state
    }),
  )
  const ended = verdicts.filter((verdict) => verdict !== undefined)
  return {
    audits: ended.filter((verdict): verdict is PackageAudit => !isLoss(verdict)),
    losses: ended.filter(isLoss),
    earlier: countEarlier(snapshots),
    waiting: left.filter((state) => state === 'suspended').length,
    interrupted: ended.length < tree.packages.length,
  }
}

type Submission = SubmitItemOutcome<PackageAudit>

async function verdictOf(
  installed: InstalledPackage,
  submission: Submission,
): Promise<PackageAudit | Loss> {
  if (submission.outcome === 'refused') {
    return { package: installed, outcome: 'failed', reason: submission.error.message }
  }
  try {
    return await submission.execution.result()
  } catch (error) {
    return lossOf(installed, error)
  }
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

/** A lane of its own, so that the worker does not also finish what other audits left behind. */
function laneOf(tree: PackageTree, runId: string): string {
  return `audit-${digest([tree.root, runId]).slice(0, 12)}`
}

/** The same package at the same place is the same execution, whichever run submits it. */
function keyOf(
  tree: PackageTree,
  runId: string,
  { path, name, version }: InstalledPackage,
): string {
  const place = digest([tree.root, path, runId]).slice(0, 24)
  return `${name}@${version}:${place}`
}

function digest(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
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
