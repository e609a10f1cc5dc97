// The command line of the demo: what may be asked for, and a clear answer to what may not.

import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface Options {
  readonly path: string
  readonly url: string | undefined
  readonly directory: string
  readonly report: string
  readonly json: boolean
  readonly fresh: boolean
  readonly paceMs: number
  readonly approveAll: boolean
  /** Where approvals are taken; undefined is any free port. */
  readonly port: number | undefined
  readonly help: boolean
}

/** The command line is wrong; the message says how. */
export class Misuse extends Error {}

export const usage = `Audits the licences of every package in a node_modules tree.

  npm run demo -- [options]

  --path DIR     a project folder or a node_modules folder (default: this project)
  --url URL      run on a Valkey server (default: embedded, in this process)
  --dir DIR      where the embedded engine keeps its state (default: .holdfast/demo)
  --report FILE  where to write the report (default: licence-report.md beside DIR)
  --json         print one JSON object on standard output, all else on standard error
  --approve-all  approve every licence that waits for a human
  --port N       where the links lead on which humans approve (default: a free port)
  --fresh        forget the earlier run instead of continuing it
  --pace MS      let each attempt take at least so long, to watch it or to kill it
  --help         show this text
`

const paceMaxMs = 60_000
const portMax = 65_535

export function readOptions(args: readonly string[], cwd: string, project: string): Options {
  const { path, url, dir, report, json, fresh, pace, help, ...approving } = parsed(args)
  if (url !== undefined && !URL.canParse(url)) throw new Misuse(`--url ${url} is not a URL`)
  const directory = resolve(cwd, dir ?? '.holdfast/demo')
  return {
    path: path === undefined ? project : resolve(cwd, path),
    url,
    directory,
    report: report === undefined ? join(directory, '../licence-report.md') : resolve(cwd, report),
    json: json ?? false,
    fresh: fresh ?? false,
    paceMs: paceOf(pace),
    approveAll: approving['approve-all'] ?? false,
    port: portOf(approving.port),
    help: help ?? false,
  }
}

function parsed(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        path: { type: 'string' },
        url: { type: 'string' },
        dir: { type: 'string' },
        report: { type: 'string' },
        json: { type: 'boolean' },
        fresh: { type: 'boolean' },
        pace: { type: 'string' },
        'approve-all': { type: 'boolean' },
        port: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const empty = Object.entries(values).find(([, value]) => value === '')
    if (empty !== undefined) throw new Misuse(`--${empty[0]} needs a value`)
    return values
  } catch (error) {
    throw error instanceof Misuse ? error : new Misuse((error as Error).message)
  }
}

function paceOf(text: string | undefined): number {
  return wholeOf('pace', text, 'a number of milliseconds from', [0, paceMaxMs]) ?? 0
}

function portOf(text: string | undefined): number | undefined {
  return wholeOf('port', text, 'a port from', [1, portMax])
}

function wholeOf(
  option: string,
  text: string | undefined,
  what: string,
  [min, max]: readonly [number, number],
): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new Misuse(`--${option} ${text} is not ${what} ${min} to ${max}`)
}
