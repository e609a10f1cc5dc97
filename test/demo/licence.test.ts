// The verdict on one package, from all forms of the field and all kinds of licence files.

import spdxFull from 'spdx-license-list/full.js'
import { describe, expect, it } from 'vitest'
import { classify, type LicenceFile } from '../../demo/licence.ts'

const textOf = (id: string) => spdxFull[id]?.licenseText ?? ''
const file = (id: string, path = 'LICENSE'): LicenceFile => ({ path, text: textOf(id) })
const kinds = (...args: Parameters<typeof classify>) =>
  classify(...args).problems.map(({ kind }) => kind)

describe('a package that says what it ships', () => {
  it('has no problems', () => {
    expect(classify({ license: 'MIT' }, [file('MIT')])).toEqual({
      expression: 'MIT',
      category: 'permissive',
      evidence: 'field and text',
      problems: [],
    })
  })

  it('may ship one text per choice', () => {
    const files = [file('MIT', 'LICENSE-MIT'), file('Apache-2.0', 'LICENSE-APACHE')]
    expect(classify({ license: '(MIT OR Apache-2.0)' }, files).problems).toEqual([])
  })

  it('may ship the full licence beside the lesser one', () => {
    const files = [file('GPL-3.0', 'COPYING'), file('LGPL-3.0', 'COPYING.LESSER')]
    expect(classify({ license: 'LGPL-3.0-or-later' }, files).problems).toEqual([])
  })

  it('may name a rare licence that reads like its relative', () => {
    expect(kinds({ license: 'curl' }, [file('curl')])).toEqual([])
  })
})

describe('the field', () => {
  it.each([
    [{ license: { type: 'MIT', url: 'x' } }, 'MIT', ['legacy-field']],
    [
      { licenses: [{ type: 'MIT' }, { type: 'GPLv2' }] },
      'MIT OR GPL-2.0-only',
      ['legacy-field', 'not-spdx'],
    ],
    [{ licenses: ['MIT'] }, 'MIT', ['legacy-field']],
    [{ license: 'Apache 2' }, 'Apache-2.0', ['not-spdx', 'disagreement']],
    [{ license: 'MIT', licenses: ['GPL-3.0'] }, 'MIT', []],
    [{ licence: 'MIT' }, 'MIT', []],
  ])('%j means %s', (manifest, expression, problems) => {
    const verdict = classify(manifest, [file('MIT')])
    expect(verdict.expression).toBe(expression)
    expect(verdict.problems.map(({ kind }) => kind)).toEqual(problems)
  })

  it.each(['UNLICENSED', 'Proprietary', 'unlicensed'])('%s is proprietary', (license) => {
    const verdict = classify({ license }, [])
    expect(verdict).toMatchObject({ expression: 'UNLICENSED', category: 'proprietary' })
    expect(verdict.problems).toEqual([])
  })

  it('lets the text settle a bare family name', () => {
    const verdict = classify({ license: 'BSD' }, [file('BSD-3-Clause')])
    expect(verdict.expression).toBe('BSD-3-Clause')
    expect(verdict.problems.map(({ kind }) => kind)).toEqual(['not-spdx'])
  })

  it('leads to the file that it points at', () => {
    const files = [file('MPL-2.0', 'docs/terms.md')]
    expect(classify({ license: 'SEE LICENSE IN ./docs/terms.md' }, files)).toMatchObject({
      expression: 'MPL-2.0',
      category: 'weak-copyleft',
    })
  })

  it('that points at unknown terms has to be read by a human', () => {
    const files = [{ path: 'EULA.txt', text: 'Pay first.' }]
    const verdict = classify({ license: 'SEE LICENSE IN EULA.txt' }, files)
    expect(verdict).toMatchObject({ expression: 'LicenseRef-EULA.txt', category: 'unknown' })
    expect(verdict.problems.map(({ kind }) => kind)).toEqual(['unknown-terms', 'unread-text'])
  })

  it('gives way to the text when it is missing or unreadable', () => {
    expect(classify({}, [file('ISC')])).toMatchObject({ expression: 'ISC', evidence: 'text' })
    expect(kinds({}, [file('ISC')])).toEqual(['no-field'])
    expect(classify({ license: 'be nice' }, [file('ISC')]).expression).toBe('ISC')
    expect(classify(undefined, [file('ISC')]).problems[0]?.kind).toBe('broken-manifest')
  })
})

describe('problems', () => {
  it('reports a text that contradicts the field', () => {
    expect(classify({ license: 'ISC' }, [file('MIT')]).problems).toEqual([
      { kind: 'disagreement', message: 'package.json says ISC, LICENSE reads as MIT' },
    ])
    expect(kinds({ license: 'UNLICENSED' }, [file('MIT')])).toEqual(['disagreement'])
  })

  it('reports stricter terms in bundled and vendored code, not friendlier ones', () => {
    const bundle = { path: 'LICENSE.md', text: `${textOf('MIT')}\n${textOf('MPL-2.0')}` }
    const vendored = file('GPL-2.0', 'vendor/zip/COPYING')
    expect(kinds({ license: 'MIT' }, [bundle])).toEqual(['stricter-terms'])
    expect(kinds({ license: 'MIT' }, [file('MIT'), vendored])).toEqual(['stricter-terms'])
    expect(kinds({ license: 'GPL-2.0-only' }, [bundle, vendored])).toEqual(['disagreement'])
    expect(kinds({ license: 'MPL-2.0' }, [file('MPL-2.0'), file('MIT', 'deps/x/LICENSE')])).toEqual(
      [],
    )
  })

  it('reports missing and unreadable texts', () => {
    expect(kinds({ license: 'MIT' }, [])).toEqual(['no-text'])
    expect(kinds({ license: 'CC0-1.0' }, [])).toEqual([])
    expect(kinds({ license: 'MIT' }, [{ path: 'LICENSE', text: 'Ask Bob.' }])).toEqual([
      'unread-text',
    ])
  })

  it('reports that nothing names a licence', () => {
    expect(classify({}, [])).toMatchObject({ expression: 'NONE', evidence: 'none' })
    expect(kinds({}, [])).toEqual(['no-licence'])
  })
})
