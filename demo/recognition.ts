// Recognises the usual licence texts by phrases that survive reformatting.

import { isSameTerms } from './expression.ts'

interface Signature {
  readonly id: string
  /** Where the text begins, or a sentence near its beginning. */
  readonly anchor: string
  /** Phrases that the section after the anchor must hold, or must not hold. */
  readonly having?: readonly string[]
  readonly lacking?: readonly string[]
  /** The last words of the text and how soon they must come: a longer text has other terms too. */
  readonly end?: readonly [words: string, withinChars: number]
}

// Long enough for the end of a BSD text, short enough not to reach into a far neighbour.
const sectionMaxChars = 4000

const grant = 'permission is hereby granted free of charge to any person obtaining a copy'
const redistribution =
  'redistribution and use in source and binary forms with or without modification are permitted'
const anyPurpose = 'for any purpose with or without fee is hereby granted'
const permissionNotice = 'permission notice shall be included in all'
const mitEnd = ['dealings in the software', 1300] as const
const bsdEnd = ['possibility of such damage', 1900] as const

// Of signatures with one anchor the first that fits wins, so the more particular stand first.
const signatures: readonly Signature[] = [
  { id: 'X11', anchor: grant, having: [permissionNotice, 'except as contained in this notice'] },
  { id: 'JSON', anchor: grant, having: ['shall be used for good not evil'] },
  { id: 'NCSA', anchor: grant, having: ['to deal with the software without restriction'] },
  { id: 'MIT', anchor: grant, having: [permissionNotice], end: mitEnd },
  { id: 'MIT-0', anchor: grant, having: ['furnished to do so the software is'], end: mitEnd },
  { id: 'Sleepycat', anchor: redistribution, having: ['how to obtain complete source code'] },
  { id: 'Apache-1.1', anchor: redistribution, having: ['apache software foundation'] },
  { id: 'BSD-4-Clause', anchor: redistribution, having: ['advertising materials'], end: bsdEnd },
  { id: 'BSD-3-Clause', anchor: redistribution, having: ['endorse or promote'], end: bsdEnd },
  {
    id: 'BSD-2-Clause',
    anchor: redistribution,
    having: ['binary form must reproduce'],
    lacking: [' 3 '],
    end: ['possibility of such damage', 1400],
  },
  { id: 'ISC', anchor: anyPurpose, having: ['permission notice appear in all copies'] },
  { id: '0BSD', anchor: anyPurpose, lacking: ['appear in all copies'] },
  { id: 'Apache-2.0', anchor: 'apache license version 2 0 january 2004' },
  {
    id: 'Apache-2.0',
    anchor: 'licensed under the apache license version 2 0 the license you may not use',
  },
  { id: 'MPL-1.1', anchor: 'mozilla public license version 1 1 1 definitions' },
  { id: 'MPL-2.0', anchor: 'mozilla public license version 2 0 1 definitions' },
  { id: 'MPL-2.0', anchor: 'subject to the terms of the mozilla public license v 2 0' },
  { id: 'GPL-2.0', anchor: 'gnu general public license version 2 june 1991' },
  { id: 'GPL-3.0', anchor: 'gnu general public license version 3 29 june 2007' },
  { id: 'LGPL-2.1', anchor: 'gnu lesser general public license version 2 1 february 1999' },
  { id: 'LGPL-3.0', anchor: 'gnu lesser general public license version 3 29 june 2007' },
  { id: 'AGPL-3.0', anchor: 'gnu affero general public license version 3 19 november 2007' },
  { id: 'EPL-1.0', anchor: 'eclipse public license v 1 0 the accompanying program' },
  { id: 'EPL-2.0', anchor: 'eclipse public license v 2 0 the accompanying program' },
  { id: 'CDDL-1.0', anchor: 'common development and distribution license cddl version 1 0' },
  { id: 'EUPL-1.2', anchor: 'european union public licence v 1 2' },
  { id: 'Artistic-2.0', anchor: 'the artistic license 2 0 copyright' },
  { id: 'OFL-1.1', anchor: 'sil open font license version 1 1 26 february 2007' },
  { id: 'CC0-1.0', anchor: 'cc0 1 0 universal' },
  { id: 'CC-BY-3.0', anchor: 'legal code attribution 3 0 unported' },
  { id: 'CC-BY-SA-3.0', anchor: 'legal code attribution sharealike 3 0 unported' },
  { id: 'CC-BY-4.0', anchor: 'creative commons attribution 4 0 international public license' },
  {
    id: 'CC-BY-SA-4.0',
    anchor: 'creative commons attribution sharealike 4 0 international public license',
  },
  {
    id: 'CC-BY-NC-4.0',
    anchor: 'creative commons attribution noncommercial 4 0 international public license',
  },
  { id: 'Unlicense', anchor: 'this is free and unencumbered software released into the public' },
  { id: 'WTFPL', anchor: 'do what the fuck you want to public license' },
  {
    id: 'Zlib',
    anchor: 'no event will the authors be held liable for any damages arising',
    end: ['removed or altered from any source distribution', 750],
  },
  { id: 'BSL-1.0', anchor: 'boost software license version 1 0' },
  { id: 'BlueOak-1.0.0', anchor: 'blue oak model license version 1 0 0' },
  { id: 'Python-2.0', anchor: 'python software foundation license version 2' },
  { id: 'OLDAP-2.8', anchor: 'the openldap public license version 2 8' },
  { id: 'UPL-1.0', anchor: 'the universal permissive license upl version 1 0' },
  { id: 'BUSL-1.1', anchor: 'business source license 1 1' },
  { id: 'SSPL-1.0', anchor: 'server side public license version 1 october 16 2018' },
  { id: 'Elastic-2.0', anchor: 'elastic license 2 0' },
  { id: 'FSL-1.1-MIT', anchor: 'functional source license version 1 1 mit future license' },
  { id: 'FSL-1.1-ALv2', anchor: 'functional source license version 1 1 alv2 future license' },
  // A rider that takes the right to sell away from the permissive text that follows it.
  { id: 'LicenseRef-Commons-Clause', anchor: 'commons clause license condition v1 0' },
]

// What a file says that names its licence instead of quoting it; the strictest stands first.
const mentions: readonly (readonly [RegExp, string])[] = [
  [/\bgpl ?v?2\b|\bgnu general public license v(ersion )?2/, 'GPL-2.0'],
  [/\bgpl ?v?3\b|\bgnu general public license v(ersion )?3/, 'GPL-3.0'],
  [/\bmit licen[cs]e|licenses mit\b|\blicen[cs]ed? (under )?(the )?mit\b|^mit ?$/, 'MIT'],
  [/\bapache license (version )?2|licenses license 2 0|\bapache 2 0\b/, 'Apache-2.0'],
  [/\bisc licen[cs]e/, 'ISC'],
  [/\bmozilla public license (version |v )?2/, 'MPL-2.0'],
]

// A longer file has terms of its own, in which the name of a licence proves nothing.
const mentionMaxChars = 600

/** The licences whose texts the file holds, in the order in which they appear, each once. */
export function recognise(text: string): string[] {
  const tagged = /SPDX-License-Identifier:\s*([\w.+-]+)/.exec(text)?.[1]
  const plain = normalise(text)
  const found = [...new Set(sections(plain).flatMap((section) => licenceOf(section) ?? []))]
  if (found.length > 0) return found
  if (tagged !== undefined) return [tagged]
  if (plain.length > mentionMaxChars) return []
  return mentions.flatMap(([pattern, id]) => (pattern.test(plain) ? [id] : [])).slice(0, 1)
}

/** Whether the text of this licence would be told from all others. */
export function isRecognisable(id: string): boolean {
  return signatures.some((signature) => isSameTerms(id, signature.id))
}

interface Section {
  readonly anchor: string
  readonly text: string
}

function sections(plain: string): Section[] {
  const starts = [...new Set(signatures.map((signature) => signature.anchor))]
    .flatMap((anchor) => positions(plain, anchor).map((at) => ({ anchor, at })))
    .sort((one, other) => one.at - other.at)
  return starts.map(({ anchor, at }, index) => {
    const next = starts[index + 1]?.at ?? plain.length
    return { anchor, text: plain.slice(at, Math.min(next, at + sectionMaxChars)) }
  })
}

function positions(plain: string, anchor: string): number[] {
  const found: number[] = []
  for (let at = plain.indexOf(anchor); at >= 0; at = plain.indexOf(anchor, at + anchor.length)) {
    found.push(at)
  }
  return found
}

function licenceOf(section: Section): string | undefined {
  return signatures.find((signature) => fits(signature, section))?.id
}

function fits({ anchor, having = [], lacking = [], end }: Signature, section: Section): boolean {
  if (anchor !== section.anchor) return false
  const endsAt = end === undefined ? section.text.length : section.text.indexOf(end[0])
  if (end !== undefined && (endsAt < 0 || endsAt > end[1])) return false
  const body = section.text.slice(0, endsAt)
  return (
    having.every((phrase) => body.includes(phrase)) &&
    !lacking.some((phrase) => body.includes(phrase))
  )
}

function normalise(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .trimStart()
}
