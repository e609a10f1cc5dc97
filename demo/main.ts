// `npm run demo`: audits the licences of a node_modules tree, and survives being killed on the way.

import { randomUUID } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { isEngineError, openEngine } from '../src/index.ts'
import { Misuse, type Options, readOptions, usage } from './options.ts'
import { type Overview, summarise } from './overview.ts'
import { NotAuditable, type PackageTree, readTree } from './packages.ts'
import { Progress } from './progress.ts'
import { reportText } from './report.ts'
import { countOutcomes, type EarlierRun, type RunResult, runAudit } from './run.ts'
import { amount, summaryText } from './summary.ts'

const concurrency = 8
const project = join(import.meta.dirname, '..')

type StopSignal = 'SIGINT' | 'SIGTERM'

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args, process.cwd(), project)
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const startedAt = performance.now()
  const tree = await readTree(options.path)
  // Before the work, which would be in vain if its report could not be written.
  await makeFolder(dirname(options.report))
  await requireFile(options.report)
  const { signal, received } = stopSignals()
  const result = await audit(options, tree, signal)
  const seconds = (performance.now() - startedAt) / 1000
  const overview = summarise(result.audits)
  const report = result.interrupted ? undefined : options.report
  if (report !== undefined) await writeFile(report, reportText(tree.root, result, overview))
  print(options, tree, { result, overview, seconds, report })
  const stoppedBy = received()
  if (result.interrupted && stoppedBy !== undefined) return 128 + constants.signals[stoppedBy]
  return result.audits.length === tree.packages.length ? 0 : 1
}

async function audit(options: Options, tree: PackageTree, signal: AbortSignal): Promise<RunResult> {
  await makeFolder(dirname(options.directory))
  const engine = await openEngine(
    options.url === undefined ? { directory: options.directory } : { url: options.url },
  )
  let progress: Progress | undefined
  try {
    // Only now: while another demo has the directory, its run must not be forgotten.
    const runId = await readRunId(options)
    return await runAudit(engine, tree, {
      runId,
      paceMs: options.paceMs,
      concurrency,
      signal,
      watch: {
        started(earlier, packages) {
          note(startText(tree, earlier))
          progress = new Progress(process.stderr, packages)
        },
        ended(name, found) {
          const retried = found !== undefined && found.attempts > 1
          progress?.ended(name, { retried, lost: found === undefined })
        },
      },
    })
  } finally {
    progress?.stop()
    await engine.close()
  }
}

function startText(tree: PackageTree, { finished, begun }: EarlierRun): string {
  const total = tree.packages.length
  const links = tree.brokenLinks.length
  const first =
    finished === total
      ? `all ${total} packages were already finished; --fresh audits them again`
      : finished + begun > 0
        ? `continuing: ${finished} of ${total} packages were already finished`
        : `auditing ${amount(total, 'package')} in ${tree.root}`
  const second = begun > 0 ? `${begun} more had been begun and are carried on` : ''
  const third = links > 0 ? `links that lead nowhere: ${tree.brokenLinks.join(', ')}` : ''
  return [first, second, third].filter(Boolean).join('\n')
}

interface Findings {
  readonly result: RunResult
  readonly overview: Overview
  readonly seconds: number
  readonly report: string | undefined
}

function print(options: Options, tree: PackageTree, findings: Findings): void {
  const { result, overview, seconds, report } = findings
  const screen = options.json ? process.stderr : process.stdout
  if (result.interrupted) {
    const left = tree.packages.length - result.audits.length
    note(
      `stopped: ${result.audits.length} of ${tree.packages.length} packages are finished.\n` +
        `Run the same command again to continue with the other ${left}.`,
    )
  } else {
    screen.write(
      `\n${summaryText(result, overview, {
        root: tree.root,
        seconds,
        report: report === undefined ? undefined : nearest(report),
        colour: screen.isTTY === true && process.env.NO_COLOR === undefined,
      })}`,
    )
  }
  if (!options.json) return
  const figures = {
    packages: tree.packages.length,
    executions: countOutcomes(result),
    attempts: overview.attempts,
    steps: 0,
    bytes: overview.bytes,
    seconds: Math.round(seconds * 1000) / 1000,
    resumed: result.earlier.finished + result.earlier.begun,
    report: report ?? null,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
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

/** Makes one folder, if it is missing; those above it must be there. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new Misuse(`the folder ${path} cannot be made: ${(error as Error).message}`)
  }
}

async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) throw new Misuse(`--report ${path} is a folder, not a file`)
}

/** The first signal asks for a stop; a second one, when that takes too long, ends the process. */
function stopSignals(): { signal: AbortSignal; received(): StopSignal | undefined } {
  const controller = new AbortController()
  let first: { readonly name: StopSignal; readonly atMs: number } | undefined
  // One Ctrl-C can arrive twice: from the terminal and from the runner that passes it on.
  const echoMs = 500
  const onSignal = (name: StopSignal) => {
    if (first === undefined) {
      first = { name, atMs: performance.now() }
      note('\nstopping: the packages in work are finished first')
      controller.abort()
    } else if (performance.now() - first.atMs > echoMs) {
      process.exit(128 + constants.signals[name])
    }
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { signal: controller.signal, received: () => first?.name }
}

function nearest(path: string): string {
  const near = relative(process.cwd(), path)
  return near.startsWith('..') ? path : near
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isUsage =
    error instanceof Misuse ||
    error instanceof NotAuditable ||
    isEngineError(error, 'invalid_input', 'directory_invalid', 'access_denied')
  note(`demo: ${error instanceof Error ? error.message : error}`)
  note(isUsage ? 'See npm run demo -- --help' : 'Run the same command again to continue.')
  process.exitCode = isUsage ? 2 : 1
}
