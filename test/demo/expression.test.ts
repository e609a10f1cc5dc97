// SPDX expressions and the grades that they amount to.

import { describe, expect, it } from 'vitest'
import { categoryOfExpression, isSameTerms, licencesIn, mend } from '../../demo/expression.ts'

describe('categoryOfExpression', () => {
  it.each([
    ['MIT', 'permissive'],
    ['CC0-1.0', 'public-domain'],
    ['MPL-2.0', 'weak-copyleft'],
    ['GPL-2.0+', 'copyleft'],
    ['AGPL-3.0-or-later', 'copyleft'],
    ['BUSL-1.1', 'proprietary'],
    ['CC-BY-NC-4.0', 'proprietary'],
    ['BSD-Protection', 'copyleft'],
    ['LicenseRef-ours', 'unknown'],
    ['no expression', 'unknown'],
    ['GPL-3.0-only OR MIT', 'permissive'],
    ['GPL-3.0-only AND MIT', 'copyleft'],
    ['MIT AND (GPL-2.0-only OR Apache-2.0)', 'permissive'],
    ['LicenseRef-ours OR MIT', 'permissive'],
    ['LicenseRef-ours AND MIT', 'unknown'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', 'weak-copyleft'],
    ['Apache-2.0 WITH LLVM-exception', 'permissive'],
    ['GPL-3.0-only WITH GPL-CC-1.0', 'copyleft'],
  ])('grades %s as %s', (expression, category) => {
    expect(categoryOfExpression(expression)).toBe(category)
  })
})

describe('mend', () => {
  it.each([
    ['MIT', 'MIT'],
    ['mit', 'MIT'],
    ['Apache 2', 'Apache-2.0'],
    ['MIT/Apache-2.0', 'MIT OR Apache-2.0'],
    ['MIT, BSD', 'MIT OR BSD-2-Clause'],
    ['(MIT or GPLv2)', 'MIT OR GPL-2.0-only'],
    ['MIT and Apache', 'MIT AND Apache-2.0'],
    ['GPLv3 / MIT & ISC', 'GPL-3.0-or-later OR (MIT AND ISC)'],
    ['http://opensource.org/licenses/MIT', 'MIT'],
    ['EUPL', undefined],
    ['whatever you like', undefined],
  ])('reads %j as %j', (text, expression) => {
    expect(mend(text)).toBe(expression)
  })
})

it('lists the licences of an expression once, without exceptions', () => {
  expect(licencesIn('(MIT OR GPL-2.0-only WITH Classpath-exception-2.0) AND MIT')).toEqual([
    'MIT',
    'GPL-2.0-only',
  ])
})

it.each([
  ['GPL-3.0-or-later', 'GPL-3.0', true],
  ['LGPL-3.0-only', 'GPL-3.0', true],
  ['BSD-3-Clause-Clear', 'BSD-3-Clause', true],
  ['GPL-2.0-only', 'GPL-3.0', false],
  ['MIT', 'MIT-0', false],
])('%s and the text of %s agree: %s', (named, text, same) => {
  expect(isSameTerms(named, text)).toBe(same)
})
