// A suite's figures as a table for people, at most 100 columns wide.

import { advantage, type Measure, type Spread } from './measure.ts'

type Row = readonly [
  measure: string,
  unit: string,
  holdfast: string,
  bullmq: string,
  plain: string,
  ratio: string,
]

const header: Row = ['measure', 'unit', 'Holdfast median [min–max]', 'BullMQ', 'plain', 'ratio']

/** The lines of the table. `ratio` is how many times better than BullMQ, whatever is better. */
export function tableLines(measures: readonly Measure[]): string[] {
  const rows = [header, ...measures.map(row)]
  const widths = header.map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  )
  return rows.map((cells) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0
        // Words to the left, figures to the right.
        return column < 2 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

function row(measure: Measure): Row {
  const { name, unit, holdfast, bullmq, plain } = measure
  const ratio = advantage(measure)
  return [
    name,
    unit,
    `${amount(holdfast.median)} [${amount(holdfast.min)}–${amount(holdfast.max)}]`,
    medianOf(bullmq),
    medianOf(plain),
    ratio === undefined ? '–' : `${ratio.toFixed(2)}x`,
  ]
}

function medianOf(spread: Spread | undefined): string {
  return spread === undefined ? '–' : amount(spread.median)
}

function amount(value: number): string {
  const maximumFractionDigits = value < 100 ? 1 : 0
  return value.toLocaleString('en', { maximumFractionDigits })
}
