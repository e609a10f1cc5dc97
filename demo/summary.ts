// The summary on the screen: plain text that fits into 80 columns.

import type { Overview } from './overview.ts'
import { sizeText } from './overview.ts'
import { problemTitles } from './problem.ts'
import { shortened, widthMax } from './progress.ts'
import type { RunResult } from './run.ts'

export interface SummaryOptions {
  readonly root: string
  /** What there is to say of the order in which packages were audited. */
  readonly order: readonly string[]
  readonly seconds: number
  /** Where the report was written; undefined when there is none. */
  readonly report: string | undefined
  readonly colour: boolean
}

const licenceRowsMax = 15
const problemRowsMax = 10
const barCells = 30

export function summaryText(
  result: RunResult,
  overview: Overview,
  options: SummaryOptions,
): string {
  const bold = (text: string) => (options.colour ? `\x1b[1m${text}\x1b[22m` : text)
  const count = result.audits.length
  const blocks = [
    [
      bold(shortened(`Licence audit of ${options.root}`, widthMax)),
      `${amount(count, 'package')}, ${sizeText(overview.bytes)}, ` +
        `${amount(overview.attempts, 'attempt')}, ${options.seconds.toFixed(1)} s`,
    ],
    options.order,
    licenceTable(overview, count, bold),
    gradeTable(overview, count, bold),
    lossLines(result, bold),
    rejectionLines(overview, bold),
    problemLines(overview, bold),
    minorLines(overview, bold),
    options.report === undefined ? [] : [`Report: ${options.report}`],
  ]
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

type Paint = (text: string) => string

function licenceTable({ licences }: Overview, total: number, bold: Paint): string[] {
  const nameWidth = 40
  const rows = licences.slice(0, licenceRowsMax).map(({ expression, category, packages }) => {
    const name = shortened(expression, nameWidth).padEnd(nameWidth)
    return `  ${name}${`${packages}`.padStart(8)}${percent(packages, total)}  ${category}`
  })
  const rest = licences.slice(licenceRowsMax)
  if (rest.length > 0) rows.push(`  … and ${amount(rest.length, 'more licence')} in the report`)
  return [
    bold(`  ${'licence'.padEnd(nameWidth)}${'packages'.padStart(8)}${'share'.padStart(8)}  grade`),
    ...rows,
  ]
}

function gradeTable(overview: Overview, total: number, bold: Paint): string[] {
  const most = Math.max(...overview.categories.map(({ packages }) => packages))
  const rows = overview.categories.map(({ category, packages }) => {
    const bar = '█'.repeat(Math.max(1, Math.round((packages / most) * barCells)))
    return `  ${category.padEnd(16)}${`${packages}`.padStart(8)}${percent(packages, total)}  ${bar}`
  })
  return [bold(`  ${'grade'.padEnd(16)}${'packages'.padStart(8)}${'share'.padStart(8)}`), ...rows]
}

function lossLines({ losses }: RunResult, bold: Paint): string[] {
  if (losses.length === 0) return []
  const rows = losses
    .slice(0, problemRowsMax)
    .flatMap(({ package: lost, outcome, reason }) => [
      shortened(`  ${lost.name}@${lost.version}: ${outcome}`, widthMax),
      ...wrapped(reason, 4),
    ])
  return [bold(`Not audited (${losses.length})`), ...rows, ...more(losses.length)]
}

function rejectionLines({ approved, rejected }: Overview, bold: Paint): string[] {
  const approvals = approved.length > 0 ? [`${amount(approved.length, 'licence')} approved`] : []
  if (rejected.length === 0) return approvals
  const rows = rejected
    .slice(0, problemRowsMax)
    .map(({ name, version, expression }) =>
      shortened(`  ${name}@${version}: ${expression}`, widthMax),
    )
  return [...approvals, bold(`Rejected (${rejected.length})`), ...rows, ...more(rejected.length)]
}

function problemLines({ grave }: Overview, bold: Paint): string[] {
  if (grave.length === 0) return ['Nothing to look at: every package is licensed as it says.']
  const rows = grave
    .slice(0, problemRowsMax)
    .flatMap(({ audit, message }) => [
      shortened(`  ${audit.name}@${audit.version}`, widthMax),
      ...wrapped(message, 4),
    ])
  return [bold(`To look at (${grave.length})`), ...rows, ...more(grave.length)]
}

function minorLines({ minor }: Overview, bold: Paint): string[] {
  if (minor.length === 0) return []
  const rows = minor.map(
    ({ kind, packages }) => `${`${packages}`.padStart(6)}  ${problemTitles[kind]}`,
  )
  return [bold('Untidy, but harmless'), ...rows]
}

function more(count: number): string[] {
  return count > problemRowsMax ? [`  … and ${count - problemRowsMax} more in the report`] : []
}

/** Breaks at spaces; a word that is longer than a line is cut. */
function wrapped(text: string, indent: number): string[] {
  const width = widthMax - indent
  const lines: string[] = []
  let line = ''
  for (const word of text.replace(/\s+/g, ' ').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? shortened(word, width) : `${line} ${word}`
  }
  return [...lines, line].map((part) => ' '.repeat(indent) + part)
}

function percent(part: number, total: number): string {
  return `${((100 * part) / Math.max(total, 1)).toFixed(1)}%`.padStart(8)
}

export function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
