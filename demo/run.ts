// Runs the audit of one tree on an engine: one execution per package, continued if already begun.

import { createHash } from 'node:crypto'
import type { Engine, ExecutionSnapshot, SubmitItemOutcome } from '../src/index.ts'
import { auditTask, type PackageAudit } from './audit.ts'
import type { InstalledPackage, PackageTree } from './packages.ts'

export interface RunOptions {
  /** Tells this audit from those that `--fresh` has left behind. */
  readonly runId: string
  readonly paceMs: number
  readonly concurrency: number
  /** Fires when the user wants to stop. */
  readonly signal: AbortSignal
  readonly watch: RunWatch
}

export interface RunWatch {
  started(earlier: EarlierRun, packages: number): void
  /** Called once for each package, also for those that an earlier run had finished. */
  ended(name: string, audit: PackageAudit | undefined): void
}

/** What an earlier run left. */
export interface EarlierRun {
  readonly finished: number
  /** Begun and not finished: other workers, or attempts that died with their process. */
  readonly begun: number
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
  const known = submissions.flatMap((one) => (one.outcome === 'duplicate' ? [one.execution] : []))
  // Before the worker starts, so that this run's own work is not taken for an earlier one's.
  const earlier = countEarlier(await Promise.all(known.map((execution) => execution.describe())))
  watch.started(earlier, tree.packages.length)

  const verdicts: (PackageAudit | Loss | undefined)[] = tree.packages.map(() => undefined)
  const arrivals = submissions.map(async (submission, index) => {
    const installed = tree.packages[index] as InstalledPackage
    const verdict = await verdictOf(installed, submission)
    verdicts[index] = verdict
    watch.ended(`${installed.name}@${installed.version}`, isLoss(verdict) ? undefined : verdict)
  })
  // A short lease: after a kill, the packages that were in work are free again in a moment.
  const worker = await engine.work([task], { concurrency: options.concurrency, lease: '2s' })
  try {
    await Promise.race([Promise.all(arrivals), aborted(signal)])
  } finally {
    // Waits for the packages in work, so that an interrupted run leaves none half done.
    await worker.stop()
  }
  // Those packages have ended by now, but word of it may still be on its way.
  await Promise.all(
    submissions.map(async (submission, index) => {
      if (verdicts[index] === undefined && (await hasEnded(submission))) await arrivals[index]
    }),
  )
  const ended = verdicts.filter((verdict) => verdict !== undefined)
  return {
    audits: ended.filter((verdict): verdict is PackageAudit => !isLoss(verdict)),
    losses: ended.filter(isLoss),
    earlier,
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

async function hasEnded(submission: Submission): Promise<boolean> {
  if (submission.outcome === 'refused') return true
  const snapshot = await submission.execution.describe()
  return snapshot !== undefined && isTerminal(snapshot.publicState)
}

export function countOutcomes(result: RunResult): OutcomeCounts {
  const counts = { completed: 0, failed: 0, cancelled: 0, expired: 0, skipped: 0 }
  counts.completed = result.audits.length
  for (const { outcome } of result.losses) counts[outcome] += 1
  return counts
}

function countEarlier(snapshots: readonly (ExecutionSnapshot | undefined)[]): EarlierRun {
  let finished = 0
  let begun = 0
  for (const snapshot of snapshots) {
    if (snapshot === undefined) continue
    if (isTerminal(snapshot.publicState)) finished += 1
    else if (snapshot.totalAttempts > 0) begun += 1
  }
  return { finished, begun }
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
