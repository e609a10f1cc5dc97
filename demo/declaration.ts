// What the licence fields of a package.json declare, in each form that they have had.

import { isExpression, mend } from './expression.ts'
import type { Problem } from './problem.ts'

export type Declaration = { readonly problems: readonly Problem[] } & (
  | { readonly kind: 'none' | 'unlicensed' }
  /** `exact` is false when the expression is our reading of a text that is not SPDX. */
  | { readonly kind: 'expression'; readonly expression: string; readonly exact: boolean }
  | { readonly kind: 'see-file'; readonly file: string }
  | { readonly kind: 'unreadable'; readonly text: string }
)

export function declaredLicence(manifest: Readonly<Record<string, unknown>>): Declaration {
  const { license, licence, licenses } = manifest
  const current = license ?? licence
  if (typeof current === 'string') return readText(current)
  const legacy = current ?? licenses
  if (legacy === undefined || legacy === null) return { kind: 'none', problems: [] }
  return readLegacy(legacy)
}

function readText(text: string): Declaration {
  const trimmed = text.trim()
  if (trimmed === '' || /^none$/i.test(trimmed)) return { kind: 'none', problems: [] }
  // spdx-correct would make the public-domain "Unlicense" of it, the opposite of what npm means.
  if (/^unlicensed$|^proprietary$|^commercial$|all rights reserved/i.test(trimmed)) {
    return { kind: 'unlicensed', problems: [] }
  }
  const file = /^see licen[cs]e (?:in|file:?) (.+)$/i.exec(trimmed)?.[1]
  if (file !== undefined) return { kind: 'see-file', file: withoutMarks(file), problems: [] }
  if (isExpression(trimmed)) {
    return { kind: 'expression', expression: trimmed, exact: true, problems: [] }
  }
  const mended = mend(trimmed)
  if (mended === undefined) return { kind: 'unreadable', text: trimmed, problems: [] }
  const message = `"${trimmed}" is not an SPDX expression; read as ${mended}`
  return {
    kind: 'expression',
    expression: mended,
    exact: false,
    problems: [{ kind: 'not-spdx', message }],
  }
}

/** `{type, url}` and arrays, which npm gave up in 2014 and packages still carry. */
function readLegacy(legacy: unknown): Declaration {
  const names = (Array.isArray(legacy) ? legacy : [legacy]).flatMap((entry) => nameIn(entry) ?? [])
  // Several entries meant "under any of these".
  const declaration = readText(names.length === 1 ? (names[0] ?? '') : names.join(' OR '))
  const problem: Problem = {
    kind: 'legacy-field',
    message: 'package.json uses a licence form that npm no longer supports',
  }
  return { ...declaration, problems: [problem, ...declaration.problems] }
}

function nameIn(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry
  if (typeof entry !== 'object' || entry === null) return undefined
  const { type, name, url } = entry as Record<string, unknown>
  return [type, name, url].find((value) => typeof value === 'string' && value !== '') as
    | string
    | undefined
}

function withoutMarks(file: string): string {
  return file.trim().replace(/^[<"'`]|[>"'`]$/g, '')
}
