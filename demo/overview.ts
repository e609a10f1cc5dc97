// Sums the audited packages up, for the summary on the screen and for the report.

import type { PackageAudit } from './audit.ts'
import { type Category, categories } from './category.ts'
import { graveKinds, type Problem, type ProblemKind, problemKinds } from './problem.ts'

export interface LicenceRow {
  readonly expression: string
  readonly category: Category
  readonly packages: number
}

export interface Overview {
  /** Most used first. */
  readonly licences: readonly LicenceRow[]
  /** Friendliest first, without the empty ones. */
  readonly categories: readonly { readonly category: Category; readonly packages: number }[]
  /** Problems that need a human, gravest first. */
  readonly grave: readonly PackageProblem[]
  /** The others, only counted. */
  readonly minor: readonly { readonly kind: ProblemKind; readonly packages: number }[]
  /** Packages that somebody decided on. */
  readonly approved: readonly PackageAudit[]
  readonly rejected: readonly PackageAudit[]
  readonly bytes: number
  readonly attempts: number
}

export interface PackageProblem extends Problem {
  readonly audit: PackageAudit
}

export function summarise(audits: readonly PackageAudit[]): Overview {
  const problems = audits.flatMap((audit) =>
    audit.problems.map((problem) => ({ ...problem, audit })),
  )
  const ofKind = (kind: ProblemKind) => problems.filter((problem) => problem.kind === kind)
  return {
    licences: licenceRows(audits),
    categories: categories
      .map((category) => ({
        category,
        packages: audits.filter((audit) => audit.category === category).length,
      }))
      .filter(({ packages }) => packages > 0),
    grave: problemKinds.filter((kind) => graveKinds.has(kind)).flatMap(ofKind),
    minor: problemKinds
      .filter((kind) => !graveKinds.has(kind))
      .map((kind) => ({ kind, packages: new Set(ofKind(kind).map(({ audit }) => audit)).size }))
      .filter(({ packages }) => packages > 0),
    approved: audits.filter(({ approval }) => approval === 'approved'),
    rejected: audits.filter(({ approval }) => approval === 'rejected'),
    bytes: sum(audits.map((audit) => audit.bytes)),
    attempts: sum(audits.map((audit) => audit.attempts)),
  }
}

function licenceRows(audits: readonly PackageAudit[]): LicenceRow[] {
  const rows = new Map<string, LicenceRow>()
  for (const { expression, category } of audits) {
    const packages = (rows.get(expression)?.packages ?? 0) + 1
    rows.set(expression, { expression, category, packages })
  }
  return [...rows.values()].sort(
    (one, other) => other.packages - one.packages || (one.expression < other.expression ? -1 : 1),
  )
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** As people read sizes: three digits at most before the unit. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1)
  const amount = bytes / 1024 ** power
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`
}
