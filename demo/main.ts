// `npm run demo`: audits the licences of a node_modules tree, and survives being killed on the way.

import { mkdir, stat, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { isEngineError } from '../src/index.ts'
import { leftText } from './ask.ts'
import { audit, note } from './conduct.ts'
import { type DependencyGraph, orderLines, readGraph } from './dependencies.ts'
import { Misuse, type Options, readOptions, usage } from './options.ts'
import { type Overview, summarise } from './overview.ts'
import { NotAuditable, type PackageTree, readTree } from './packages.ts'
import { reportText } from './report.ts'
import { countOutcomes, type RunResult } from './run.ts'
import { summaryText } from './summary.ts'

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
  const graph = await readGraph(tree)
  // Before the work, which would be in vain if its report could not be written.
  await makeFolder(dirname(options.report))
  await requireFile(options.report)
  await makeFolder(dirname(options.directory))
  const { signal, received } = stopSignals()
  const result = await audit(options, tree, graph, signal)
  const seconds = (performance.now() - startedAt) / 1000
  const overview = summarise(result.audits)
  const report = result.interrupted ? undefined : options.report
  if (report !== undefined) await writeFile(report, reportText(tree.root, result, overview))
  print(options, tree, { result, overview, graph, seconds, report })
  const stoppedBy = received()
  if (result.interrupted && stoppedBy !== undefined) return 128 + constants.signals[stoppedBy]
  return result.audits.length === tree.packages.length ? 0 : 1
}

interface Findings {
  readonly result: RunResult
  readonly overview: Overview
  readonly graph: DependencyGraph
  readonly seconds: number
  readonly report: string | undefined
}

function print(options: Options, tree: PackageTree, findings: Findings): void {
  const { result, overview, graph, seconds, report } = findings
  const screen = options.json ? process.stderr : process.stdout
  if (result.interrupted) {
    const left = tree.packages.length - result.audits.length
    note(
      `stopped: ${result.audits.length} of ${tree.packages.length} packages are finished.\n` +
        leftText(left, result.waiting),
    )
  } else {
    screen.write(
      `\n${summaryText(result, overview, {
        root: tree.root,
        order: orderLines(tree, graph),
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
    resumed: overview.approved.length + overview.rejected.length,
    report: report ?? null,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
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
      note('\nstopping: the packages in work are finished first; Ctrl-C again kills')
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
