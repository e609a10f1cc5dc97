// The report file: Markdown, complete, and the same for every audit of the same tree.

import spdxLicences from 'spdx-license-list'
import { licencesIn } from './expression.ts'
import { type Overview, sizeText } from './overview.ts'
import { problemTitles } from './problem.ts'
import type { RunResult } from './run.ts'

// No date and no duration: a changed report means a changed tree, so reports can be compared.
export function reportText(root: string, result: RunResult, overview: Overview): string {
  const { audits, losses } = result
  const lines = [
    '# Licence report',
    '',
    `Audited: \`${root}\``,
    '',
    ...table(
      ['packages', 'not audited', 'size', 'licences', 'to look at'],
      [
        [
          `${audits.length}`,
          `${losses.length}`,
          sizeText(overview.bytes),
          `${overview.licences.length}`,
          `${overview.grave.length}`,
        ],
      ],
    ),
    ...section('Grades', ['grade', 'packages'], gradeRows(overview)),
    ...section('Licences', ['licence', 'name', 'OSI', 'grade', 'packages'], licenceRows(overview)),
    ...section('Not audited', ['package', 'path', 'outcome', 'reason'], lossRows(result)),
    ...section('Decided', ['package', 'path', 'licence', 'decision'], decisionRows(overview)),
    ...section('To look at', ['package', 'path', 'problem', 'detail'], graveRows(overview)),
    ...section(
      'Untidy, but harmless',
      ['package', 'problem', 'detail'],
      minorRows(result, overview),
    ),
    ...section(
      'Packages',
      ['package', 'path', 'licence', 'grade', 'evidence'],
      packageRows(result),
    ),
  ]
  return `${lines.join('\n')}\n`
}

function gradeRows({ categories }: Overview): string[][] {
  return categories.map(({ category, packages }) => [category, `${packages}`])
}

function licenceRows({ licences }: Overview): string[][] {
  return licences.map(({ expression, category, packages }) => {
    const known = licencesIn(expression).map((id) => spdxLicences[id])
    const names = known.map((licence) => licence?.name ?? 'not in the SPDX list')
    const approved = known.length > 0 && known.every((licence) => licence?.osiApproved === true)
    return [expression, names.join('; '), approved ? 'yes' : 'no', category, `${packages}`]
  })
}

function lossRows({ losses }: RunResult): string[][] {
  return losses.map(({ package: lost, outcome, reason }) => [
    `${lost.name}@${lost.version}`,
    lost.path,
    outcome,
    reason,
  ])
}

function decisionRows({ rejected, approved }: Overview): string[][] {
  return [...rejected, ...approved].map(({ name, version, path, expression, approval }) => [
    `${name}@${version}`,
    path,
    expression,
    `${approval}`,
  ])
}

function graveRows({ grave }: Overview): string[][] {
  return grave.map(({ audit, kind, message }) => [
    `${audit.name}@${audit.version}`,
    audit.path,
    problemTitles[kind],
    message,
  ])
}

function minorRows({ audits }: RunResult, { minor }: Overview): string[][] {
  return minor.flatMap(({ kind }) =>
    audits.flatMap((audit) =>
      audit.problems
        .filter((problem) => problem.kind === kind)
        .map(({ message }) => [`${audit.name}@${audit.version}`, problemTitles[kind], message]),
    ),
  )
}

function packageRows({ audits }: RunResult): string[][] {
  return audits.map(({ name, version, path, expression, category, evidence }) => [
    `${name}@${version}`,
    path,
    expression,
    category,
    evidence,
  ])
}

function section(title: string, head: readonly string[], rows: readonly string[][]): string[] {
  return rows.length === 0 ? [] : ['', `## ${title}`, '', ...table(head, rows)]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  return [line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)]
}

/** Names and messages come from strangers' files: they must not become tables, links or HTML. */
function escaped(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>|~]/g, '\\$&')
}
