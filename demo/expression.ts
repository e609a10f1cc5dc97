// SPDX expressions: reads them, mends what is nearly one, and says which category they amount to.

import correct from 'spdx-correct'
import parse, { type LicenceNode } from 'spdx-expression-parse'
import { type Category, categories, categoryOfLicence, withException } from './category.ts'

export function isExpression(text: string): boolean {
  return tree(text) !== undefined
}

/** OR lets the user choose, so the friendliest side counts; AND binds to both: the strictest. */
export function categoryOfExpression(expression: string): Category {
  const node = tree(expression)
  return node === undefined ? 'unknown' : categoryOfNode(node)
}

/** The licences that an expression names, in its order, each once. */
export function licencesIn(expression: string): string[] {
  const node = tree(expression)
  return node === undefined ? [] : [...new Set(leaves(node))]
}

/**
 * The expression that a text of older or careless form most likely means, or undefined. Lists like
 * "MIT/Apache-2.0" mean a choice, and spdx-correct alone would silently keep one of the two.
 */
export function mend(text: string): string | undefined {
  if (isExpression(text)) return text.trim()
  const choice = joined(text, /\s*[/,|]\s*|\s+or\s+/i, 'OR')
  if (choice !== undefined) return choice
  const both = joined(text, /\s*&\s*|\s+and\s+/i, 'AND')
  return both ?? mendOne(text)
}

/** Whether a licence text may stand for a licence named in package.json. */
export function isSameTerms(named: string, text: string): boolean {
  const one = withoutVersionRule(named)
  const other = withoutVersionRule(text)
  // `BSD-3-Clause-Clear` differs from `BSD-3-Clause` in a clause that recognition does not read.
  if (one === other || one.startsWith(`${other}-`)) return true
  // The lesser licence is written as additions to the full one, which therefore comes with it.
  return one === 'LGPL-3.0' && other === 'GPL-3.0'
}

function tree(expression: string): LicenceNode | undefined {
  try {
    return parse(expression)
  } catch {
    return undefined
  }
}

function categoryOfNode(node: LicenceNode): Category {
  if ('license' in node) {
    const category = categoryOfLicence(node.license)
    return node.exception === undefined ? category : withException(category, node.exception)
  }
  const sides = [categoryOfNode(node.left), categoryOfNode(node.right)]
  const ranks = sides.map((side) => categories.indexOf(side))
  const rank = node.conjunction === 'or' ? Math.min(...ranks) : Math.max(...ranks)
  return categories[rank] ?? 'unknown'
}

function leaves(node: LicenceNode): string[] {
  if ('license' in node) return [node.license]
  return [...leaves(node.left), ...leaves(node.right)]
}

function joined(text: string, separator: RegExp, operator: 'AND' | 'OR'): string | undefined {
  // An address is one name, however many slashes it has.
  if (text.includes('://')) return undefined
  const parts = text.replace(/[()]/g, ' ').trim().split(separator)
  if (parts.length < 2) return undefined
  const mended = parts.map((part) => mend(part))
  if (!mended.every((part) => part !== undefined)) return undefined
  return [...new Set(mended)]
    .map((part) => (/ (AND|OR) /.test(part) ? `(${part})` : part))
    .join(` ${operator} `)
}

function mendOne(text: string): string | undefined {
  const found = correct(text)
  if (found === null) return undefined
  // Given one bare word, spdx-correct also matches inside it: "EUPL" would become "UPL-1.0".
  const bareWord = /^[a-z]+$/i.test(text.trim())
  const family = /^[a-z0-9]+/i.exec(found)?.[0] ?? found
  const agrees = text.trim().toLowerCase().startsWith(family.toLowerCase())
  return bareWord && !agrees ? undefined : found
}

function withoutVersionRule(id: string): string {
  return id.replace(/(-only|-or-later|\+)$/, '')
}
