// Conducts one audit: opens the engine and the desk for approvals, and tells the terminal.

import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { type Engine, isEngineError, openEngine } from '../src/index.ts'
import { approvedText, askText, idleText, titleOf } from './ask.ts'
import type { DependencyGraph } from './dependencies.ts'
import { openDesk } from './desk.ts'
import type { Options } from './options.ts'
import type { PackageTree } from './packages.ts'
import { Progress } from './progress.ts'
import { type EarlierRun, type RunResult, type RunWatch, runAudit } from './run.ts'
import { amount } from './summary.ts'
import type { WaitingPackage } from './waiting.ts'

const concurrency = 8

export async function audit(
  options: Options,
  tree: PackageTree,
  graph: DependencyGraph,
  signal: AbortSignal,
): Promise<RunResult> {
  const { url, directory, approveAll, port, paceMs } = options
  const desk = approveAll ? undefined : await openDesk(port)
  try {
    const engine = await openEngine({
      ...(url === undefined ? { directory } : { url }),
      ...(desk === undefined ? {} : { signalUrl: desk.url }),
    })
    const teller = new Teller(engine, tree, approveAll)
    try {
      desk?.serve(engine.signalHandler({ confirmPage: teller.subjectOf }))
      // Only now: while another demo has the directory, its run must not be forgotten.
      const runId = await readRunId(options)
      return await runAudit(engine, tree, graph, {
        runId,
        paceMs,
        concurrency,
        signal,
        watch: teller,
      })
    } finally {
      teller.stop()
      await engine.close()
    }
  } finally {
    await desk?.close()
  }
}

/** Tells the terminal how far the audit is, and asks for approvals or gives them. */
class Teller implements RunWatch {
  readonly #engine: Engine
  readonly #tree: PackageTree
  readonly #approveAll: boolean
  /** What each link that was shown is about. */
  readonly #subjects = new Map<string, string>()
  #progress: Progress | undefined
  #hasSaidIdle = false

  constructor(engine: Engine, tree: PackageTree, approveAll: boolean) {
    this.#engine = engine
    this.#tree = tree
    this.#approveAll = approveAll
  }

  readonly subjectOf = ({ url }: Request): string | undefined =>
    this.#subjects.get(new URL(url).pathname.slice(1))

  started(earlier: EarlierRun, packages: number): void {
    note(startText(this.#tree, earlier))
    this.#progress = new Progress(process.stderr, packages)
  }

  held(count: number): void {
    this.#progress?.held(count)
  }

  ended(...[name, found, waiting]: Parameters<RunWatch['ended']>): void {
    const retried = found !== undefined && found.attempts > 1
    this.#progress?.ended(name, { retried, lost: found === undefined })
    this.answered(waiting)
  }

  async waiting(asked: WaitingPackage, count: number): Promise<void> {
    if (this.#approveAll) {
      await approve(this.#engine, asked)
      this.#progress?.note(approvedText(asked))
    } else {
      this.#subjects.set(asked.token, `approve ${titleOf(asked)}`)
      this.#progress?.note(askText(asked))
    }
    this.answered(count)
  }

  answered(waiting: number): void {
    this.#progress?.waiting(waiting)
    if (this.#hasSaidIdle || this.#approveAll || this.#progress?.idle !== true) return
    this.#hasSaidIdle = true
    this.#progress.note(idleText(waiting, this.#progress.heldCount))
  }

  stop(): void {
    this.#progress?.stop()
  }
}

/** As anybody who holds the link could, so that nothing is special about it. */
async function approve(engine: Engine, { token }: WaitingPackage): Promise<void> {
  try {
    await engine.signal(token, { approve: true }, { source: 'operator', identity: '--approve-all' })
  } catch (error) {
    // Somebody else was quicker.
    if (!isEngineError(error, 'waitpoint_closed', 'target_not_signalable')) throw error
  }
}

function startText(tree: PackageTree, { finished, begun, waiting }: EarlierRun): string {
  const total = tree.packages.length
  const links = tree.brokenLinks.length
  const first =
    finished === total
      ? `all ${total} packages were already finished; --fresh audits them again`
      : finished + begun + waiting > 0
        ? `continuing: ${finished} of ${total} packages were already finished`
        : `auditing ${amount(total, 'package')} in ${tree.root}`
  const second = begun > 0 ? `${begun} more had been begun and are carried on` : ''
  const third = waiting > 0 ? `still waiting for approval: ${amount(waiting, 'package')}` : ''
  const fourth = links > 0 ? `links that lead nowhere: ${tree.brokenLinks.join(', ')}` : ''
  return [first, second, third, fourth].filter(Boolean).join('\n')
}

/**
 * Names the run that is to be continued. It is part of every idempotency key, so a new name is all
 * that it takes to forget, on a server too, and nothing that might be somebody else's is deleted.
 */
async function readRunId({ directory, fresh }: Options): Promise<string> {
  const file = `${directory}.run`
  if (fresh) {
    const runId = randomUUID()
    await writeFile(file, runId)
    return runId
  }
  return readFile(file, 'utf8').catch(() => 'first')
}

export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
