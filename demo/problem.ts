// What can be wrong with the licensing of a package, gravest first.

export const problemTitles = {
  disagreement: 'package.json and licence text disagree',
  'stricter-terms': 'carries stricter terms than it names',
  'no-licence': 'names no licence anywhere',
  'unknown-terms': 'licence that we cannot grade',
  'broken-manifest': 'package.json cannot be read',
  'not-spdx': 'licence field is not an SPDX expression',
  'no-field': 'licence only in a file, not in package.json',
  'legacy-field': 'licence field of an outdated form',
  'unread-text': 'licence text not recognised',
  'no-text': 'ships no licence text',
} as const

export type ProblemKind = keyof typeof problemTitles

export interface Problem {
  readonly kind: ProblemKind
  readonly message: string
}

export const problemKinds = Object.keys(problemTitles) as readonly ProblemKind[]

/** Problems that someone has to look at; the others are untidy but harmless. */
export const graveKinds: ReadonlySet<ProblemKind> = new Set([
  'disagreement',
  'stricter-terms',
  'no-licence',
  'unknown-terms',
  'broken-manifest',
] satisfies ProblemKind[])
