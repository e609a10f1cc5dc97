// Decides the licence of one package from its package.json and the texts of its licence files.

import { type Category, categoryOfLicence, isStricter } from './category.ts'
import { type Declaration, declaredLicence } from './declaration.ts'
import { categoryOfExpression, isSameTerms, licencesIn } from './expression.ts'
import type { Problem } from './problem.ts'
import { isRecognisable, recognise } from './recognition.ts'

export interface LicenceFile {
  /** Relative to the package, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** On what the verdict rests. */
export type Evidence = 'field and text' | 'field' | 'text' | 'none'

export interface Verdict {
  /** An SPDX expression, or `UNLICENSED`, or `NONE` when nothing names a licence. */
  readonly expression: string
  readonly category: Category
  readonly evidence: Evidence
  readonly problems: readonly Problem[]
}

interface ReadFile {
  readonly path: string
  readonly licences: readonly string[]
}

/** `manifest` is undefined when package.json is not a JSON object. */
export function classify(
  manifest: Readonly<Record<string, unknown>> | undefined,
  files: readonly LicenceFile[],
): Verdict {
  const read = files.map((file) => ({ path: file.path, licences: recognise(file.text) }))
  const own = read.filter(({ path }) => isOwn(path))
  const declaration: Declaration =
    manifest === undefined ? { kind: 'none', problems: [] } : declaredLicence(manifest)
  const broken: Problem[] =
    manifest === undefined
      ? [{ kind: 'broken-manifest', message: 'package.json is not a JSON object' }]
      : []
  const { expression, problems } = decide(declaration, own, read)
  const category = expression === 'UNLICENSED' ? 'proprietary' : categoryOfExpression(expression)
  return {
    expression,
    category,
    evidence: evidenceOf(declaration, own),
    problems: [
      ...broken,
      ...declaration.problems,
      ...problems,
      ...gradeProblems(expression, category),
      ...textProblems(expression, category, own),
      ...comparisonProblems(declaration, expression, category, read),
    ],
  }
}

interface Decision {
  readonly expression: string
  readonly problems: readonly Problem[]
}

function decide(
  declaration: Declaration,
  own: readonly ReadFile[],
  read: readonly ReadFile[],
): Decision {
  const texts = [...new Set(own.flatMap(({ licences }) => licences.slice(0, 1)))]
  switch (declaration.kind) {
    case 'unlicensed':
      return { expression: 'UNLICENSED', problems: [] }
    case 'expression':
      return { expression: sharpened(declaration, texts), problems: [] }
    case 'see-file': {
      const file = declaration.file.replace(/^\.\//, '')
      const named = read.find(({ path }) => path === file)?.licences[0]
      if (named !== undefined) return { expression: named, problems: [] }
      return { expression: `LicenseRef-${file.replace(/[^\w.-]+/g, '-')}`, problems: [] }
    }
    case 'unreadable': {
      const message = `"${declaration.text}" is not an SPDX expression`
      const expression = texts.length > 0 ? texts.join(' AND ') : 'NONE'
      return { expression, problems: [{ kind: 'not-spdx', message }] }
    }
    case 'none': {
      if (texts.length === 0) return { expression: 'NONE', problems: [] }
      const message = `package.json names no licence; the text is ${texts.join(' and ')}`
      return { expression: texts.join(' AND '), problems: [{ kind: 'no-field', message }] }
    }
  }
}

/** A bare family name such as "BSD" leaves the version open; the text of the file settles it. */
function sharpened(
  declaration: Extract<Declaration, { kind: 'expression' }>,
  texts: readonly string[],
): string {
  const family = /^[a-z]+/i.exec(declaration.expression)?.[0] ?? ''
  const relative = texts.find((text) => text.startsWith(`${family}-`))
  return declaration.exact || relative === undefined || isChoice(declaration.expression)
    ? declaration.expression
    : relative
}

function evidenceOf(declaration: Declaration, own: readonly ReadFile[]): Evidence {
  const byField = declaration.kind === 'expression' || declaration.kind === 'unlicensed'
  const byText = own.some(({ licences }) => licences.length > 0)
  if (byField) return byText ? 'field and text' : 'field'
  return byText ? 'text' : 'none'
}

function gradeProblems(expression: string, category: Category): Problem[] {
  if (category !== 'unknown') return []
  return expression === 'NONE'
    ? [{ kind: 'no-licence', message: 'neither package.json nor a file names a licence' }]
    : [{ kind: 'unknown-terms', message: `${expression} has no grade here: read it yourself` }]
}

function textProblems(expression: string, category: Category, own: readonly ReadFile[]): Problem[] {
  if (own.length === 0) {
    // What is in the public domain, or not for others at all, asks nobody to pass on its text.
    const needless = expression === 'NONE' || expression === 'UNLICENSED'
    if (needless || category === 'public-domain') return []
    return [{ kind: 'no-text', message: `no file holds the text of ${expression}` }]
  }
  if (own.some(({ licences }) => licences.length > 0)) return []
  const names = own.map(({ path }) => path).join(', ')
  return [{ kind: 'unread-text', message: `${names} holds no text that we recognise` }]
}

function comparisonProblems(
  declaration: Declaration,
  expression: string,
  category: Category,
  read: readonly ReadFile[],
): Problem[] {
  const named = licencesIn(expression)
  const isNamed = (text: string) => named.some((licence) => isSameTerms(licence, text))
  // A licence without a signature of its own reads like its nearest relative.
  const mayReadAs = (text: string) =>
    named.some((id) => !isRecognisable(id) && categoryOfLicence(id) === categoryOfLicence(text))
  const declared = declaration.kind === 'expression' || declaration.kind === 'unlicensed'
  return read.flatMap(({ path, licences }): Problem[] => {
    const [leading] = licences
    if (leading === undefined) return []
    if (declared && isOwn(path) && !licences.some(isNamed) && !mayReadAs(leading)) {
      const message = `package.json says ${expression}, ${path} reads as ${leading}`
      return [{ kind: 'disagreement', message }]
    }
    const stricter = licences.filter(
      (text) => !isNamed(text) && isStricter(categoryOfLicence(text), category),
    )
    if (stricter.length === 0) return []
    const message = `${path} also puts code under ${stricter.join(', ')}`
    return [{ kind: 'stricter-terms', message }]
  })
}

/** Files of the package itself; deeper ones belong to code that it has taken in from elsewhere. */
function isOwn(path: string): boolean {
  return !path.includes('/') || /^licenses\/[^/]+$/i.test(path)
}

function isChoice(expression: string): boolean {
  return / (OR|AND) /i.test(expression)
}
