// `npm run bench`: runs suites against rivals in the same run, and prints what they measured.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, describeVersions } from './machine.ts'
import type { Suite } from './measure.ts'
import { flow } from './suites/flow.ts'
import { signal } from './suites/signal.ts'
import { throughput } from './suites/throughput.ts'
import { tableLines } from './table.ts'

const suites: Readonly<Record<string, Suite>> = { throughput, signal, flow }

const usage = `usage: npm run bench -- [suite …] [--json] [--quick]

  suites: ${Object.keys(suites).join(', ')} (default: all)
  --json   print one JSON object on standard output (an array for several suites)
  --quick  tiny rounds: shows that everything works, not how fast it is
`

const resultsDirectory = join(import.meta.dirname, '../.holdfast/bench')

interface Options {
  readonly names: readonly string[]
  readonly json: boolean
  readonly quick: boolean
}

/** The command line is wrong; the message says how. */
class Misuse extends Error {}

function readOptions(args: readonly string[]): Options {
  const { positionals, values } = parsed(args)
  const unknown = positionals.find((name) => !Object.hasOwn(suites, name))
  if (unknown !== undefined) throw new Misuse(`there is no suite ${unknown}`)
  const names = positionals.length > 0 ? [...new Set(positionals)] : Object.keys(suites)
  return { names, json: values.json ?? false, quick: values.quick ?? false }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean' }, quick: { type: 'boolean' } },
    })
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

async function main(args: readonly string[]): Promise<void> {
  const { names, json, quick } = readOptions(args)
  const reports: object[] = []
  for (const name of names) {
    const result = await (suites[name] as Suite)({ quick, note })
    const report = {
      suite: name,
      machine: describeMachine(),
      versions: describeVersions(result.server),
      measures: result.measures,
    }
    reports.push(report)
    for (const remark of result.remarks) note(remark)
    if (!json) console.log(`\n${name}\n\n${tableLines(result.measures).join('\n')}\n`)
    // Tiny rounds are no figures to keep.
    if (!json && !quick) await keep(name, report)
  }
  if (json) console.log(JSON.stringify(reports.length === 1 ? reports[0] : reports, null, 2))
}

async function keep(name: string, report: object): Promise<void> {
  await mkdir(resultsDirectory, { recursive: true })
  await writeFile(
    join(resultsDirectory, `${name}.json`),
    `${JSON.stringify(report, null, 2)}
`,
  )
}

function note(text: string): void {
  console.error(text)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Misuse)) throw error
  console.error(`${error.message}\n\n${usage}`)
  process.exitCode = 2
}
