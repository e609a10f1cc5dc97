// Recognition of licence texts, checked against every text in the SPDX list.

import spdxFull from 'spdx-license-list/full.js'
import { describe, expect, it } from 'vitest'
import { categoryOfLicence, isStricter } from '../../demo/category.ts'
import { isSameTerms } from '../../demo/expression.ts'
import { isRecognisable, recognise } from '../../demo/recognition.ts'

const official = Object.entries(spdxFull)
const mit = spdxFull.MIT?.licenseText ?? ''
const bsd3 = spdxFull['BSD-3-Clause']?.licenseText ?? ''

describe('the official texts', () => {
  it('are recognised as themselves or not at all', () => {
    // Variants with words of their own read like the licence that they vary, which is harmless.
    const plain = official.filter(([id]) => isRecognisable(id))
    const wrong = plain.filter(([id, { licenseText }]) => {
      const [leading] = recognise(licenseText)
      return leading !== undefined && !isSameTerms(id, leading)
    })
    expect(plain.length).toBeGreaterThan(100)
    expect(wrong.map(([id]) => id)).toEqual([])
  })

  it('recognises the licences that npm packages use', () => {
    const common = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'MPL-2.0']
    const rarer = ['CC0-1.0', 'CC-BY-4.0', 'CC-BY-3.0', 'Unlicense', 'WTFPL', 'Zlib', 'BSL-1.0']
    const strict = ['GPL-2.0', 'GPL-3.0', 'LGPL-2.1', 'LGPL-3.0', 'AGPL-3.0', 'EPL-2.0', 'SSPL-1.0']
    const others = ['BlueOak-1.0.0', 'Artistic-2.0', 'MIT-0', 'Python-2.0', 'BUSL-1.1', 'X11']
    for (const id of [...common, ...rarer, ...strict, ...others]) {
      expect(recognise(spdxFull[id]?.licenseText ?? '')[0], id).toBe(id)
    }
  })

  it('are never taken for a friendlier licence', () => {
    const flattered = official.filter(([id, { licenseText }]) => {
      const [leading] = recognise(licenseText)
      const category = categoryOfLicence(id)
      if (leading === undefined || category === 'unknown') return false
      return isStricter(category, categoryOfLicence(leading))
    })
    expect(flattered.map(([id]) => id)).toEqual([])
  })
})

describe('recognise', () => {
  it('does not care about line breaks, case and comment marks', () => {
    const reformatted = mit.toUpperCase().replace(/\s+/g, '\n * ')
    expect(recognise(reformatted)).toEqual(['MIT'])
  })

  it('lists the texts of one file in their order', () => {
    expect(recognise(`${bsd3}\n\n## Bundled\n\n${mit}\n\n${bsd3}`)).toEqual(['BSD-3-Clause', 'MIT'])
  })

  it('sees the rider that takes rights away from a permissive text', () => {
    const text = `"Commons Clause" License Condition v1.0\n\nYou may not sell it.\n\n${mit}`
    expect(recognise(text)).toEqual(['LicenseRef-Commons-Clause', 'MIT'])
  })

  it.each([
    ['Licensed under the MIT license: http://opensource.org/licenses/MIT', 'MIT'],
    ['MIT', 'MIT'],
    ['// SPDX-License-Identifier: EUPL-1.2', 'EUPL-1.2'],
    ['See http://www.apache.org/licenses/LICENSE-2.0', 'Apache-2.0'],
    ['BSD for lib; all other files use a GPLv2 license', 'GPL-2.0'],
  ])('reads the mention %j', (text, id) => {
    expect(recognise(text)).toEqual([id])
  })

  it('does not trust a mention within other terms', () => {
    const terms = 'You may do nothing whatsoever with this software. '.repeat(20)
    expect(recognise(`${terms} It is not under the MIT license.`)).toEqual([])
    expect(recognise('')).toEqual([])
  })
})
