// Holds every file to the style law, and shows each check a file that breaks it.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import luaparse from 'luaparse'
import { describe, expect, test } from 'vitest'

type Sample = { path: string; text: string }

type Check = {
  law: string
  appliesTo: (path: string) => boolean
  /** The lines at fault, counted from 1. */
  breaches: (path: string, text: string) => number[]
  breaking: Sample
  keeping: Sample
}

const columnsMax = 100
const fileLinesMax = 400
const functionLinesMax = 70

const isWritten = (path: string) => !/(^|\/)generated\//.test(path)
const isLua = (path: string) => /^(lua|test)\/.*\.lua$/.test(path) && isWritten(path)
const isTypeScript = (path: string) => /^(src|test|scripts|bench|demo)\/.*\.ts$/.test(path)
const isCode = (path: string) => isLua(path) || (isTypeScript(path) && isWritten(path))

// A bracketed last letter keeps a pattern, and the samples below, from matching this very file.
const leftovers = /\b(?:TOD[O]|FIXM[E]|XX[X])\b/g
const machinePaths = /(?<![\w.\-*}])\/(?:work|tmp)(?![\w-])/g
const timedWaits = /(?<![.\w])slee[p]\(|\bsetTimeout\(\s*\w+\s*[,)]|timers\/promise[s]/g
const valuesFromPersistence = /^(?:im|ex)port\s+(?!type\b)[\w\s{},*]*from\s+'[^']*persistence\//gm

const vagueNames = new Set([
  ...['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'manager'],
  ...['types', 'constants'],
])

const checks: Check[] = [
  {
    law: 'opens with a sentence on its subject',
    appliesTo: isCode,
    breaches: (_path, text) => {
      const [first = '', second = ''] = text.replace(/^#!.*\n/, '').split('\n')
      const comment = /^(\/\/|--|\/\*\*) \S/.exec(first)
      const goesOn = comment !== null && second.startsWith(comment[1] === '/**' ? ' *' : '//')
      const isSentence = comment !== null && (/[.:](\s\*\/)?$/.test(first) || goesOn)
      return isSentence ? [] : [1]
    },
    breaking: { path: 'src/time.ts', text: 'export const dayMs = 86_400_000\n' },
    keeping: { path: 'lua/lib/clock.lua', text: '-- The server clock, read once per call.\n' },
  },
  {
    law: 'keeps its lines within 100 columns, except around an address',
    appliesTo: isCode,
    breaches: (_path, text) =>
      linesWhere(text, (line) => [...line].length > columnsMax && !line.includes('://')),
    breaking: { path: 'src/time.ts', text: `// Time.\n// ${'long '.repeat(20)}\n` },
    keeping: { path: 'src/time.ts', text: `// Time: https://${'long'.repeat(30)}.\n` },
  },
  {
    law: 'has at most 400 lines',
    appliesTo: isCode,
    breaches: (_path, text) => linesWhere(text, (_line, number) => number === fileLinesMax + 1),
    breaking: { path: 'src/time.ts', text: 'go()\n'.repeat(401) },
    keeping: { path: 'src/time.ts', text: 'go()\n'.repeat(400) },
  },
  {
    // Biome holds TypeScript to the same law, except in test/, where `describe` is a function too.
    law: 'has Lua functions of at most 70 lines',
    appliesTo: isLua,
    breaches: (_path, text) => longLuaFunctions(text),
    breaking: { path: 'lua/lib/op.lua', text: `function f()\n${'g()\n'.repeat(69)}end\n` },
    keeping: { path: 'lua/lib/op.lua', text: `function f()\n${'g()\n'.repeat(68)}end\n` },
  },
  {
    law: 'has a name that says what is inside',
    appliesTo: (path) => /\.(ts|lua)$/.test(path),
    breaches: (path) => (vagueNames.has(basename(path).replace(/\..*$/, '')) ? [1] : []),
    breaking: { path: 'src/engine/utils.ts', text: '' },
    keeping: { path: 'src/engine/admission.ts', text: '' },
  },
  {
    law: 'leaves nothing for later',
    appliesTo: isCode,
    breaches: (_path, text) => linesMatching(text, leftovers),
    breaking: { path: 'src/time.ts', text: `// ${'TOD'}${'O'} leap seconds\n` },
    keeping: { path: 'src/time.ts', text: '// Leap seconds are not counted.\n' },
  },
  {
    law: 'waits for what happens, not for time to pass, in tests',
    appliesTo: (path) => isTypeScript(path) && path.startsWith('test/'),
    breaches: (_path, text) => linesMatching(text, timedWaits),
    breaking: { path: 'test/a.test.ts', text: `await ${'sleep'}(50)\n` },
    keeping: { path: 'test/a.test.ts', text: "await ctx.sleep('2d')\nawait worker.idle()\n" },
  },
  {
    law: 'names no path of one machine',
    appliesTo: () => true,
    breaches: (_path, text) => linesMatching(text, machinePaths),
    breaking: { path: 'README.md', text: `cd /${'work'}/main\n` },
    keeping: { path: 'README.md', text: 'cd holdfast/work && ls ./tmp\n' },
  },
  {
    // Biome keeps actors to persistence/backend.ts, but cannot ask for `import type`.
    law: 'lets actors see the backend as types only',
    appliesTo: (path) => path.startsWith('src/actors/'),
    breaches: (_path, text) => linesMatching(text, valuesFromPersistence),
    breaking: { path: 'src/actors/a.ts', text: "import { a } from '../persistence/backend.ts'\n" },
    keeping: { path: 'src/actors/a.ts', text: "import type { A } from '../persistence/b.ts'\n" },
  },
]

for (const { law, appliesTo, breaches, breaking, keeping } of checks) {
  describe(`Every file ${law}`, () => {
    test('in this repository', () => {
      const found = repositoryFiles()
        .filter(({ path }) => appliesTo(path))
        .flatMap(({ path, text }) => breaches(path, text).map((line) => `${path}:${line}`))
      expect(found).toEqual([])
    })

    test('or the check finds it', () => {
      expect(appliesTo(breaking.path) && appliesTo(keeping.path)).toBe(true)
      expect(breaches(breaking.path, breaking.text)).not.toEqual([])
      expect(breaches(keeping.path, keeping.text)).toEqual([])
    })
  })
}

function repositoryFiles(): Sample[] {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const paths = execFileSync('git', list, { encoding: 'utf8' }).split('\0')
  return paths
    .filter((path) => path !== '' && existsSync(path))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
}

function linesWhere(text: string, isFault: (line: string, number: number) => boolean): number[] {
  const lines = text.replace(/\n$/, '').split('\n')
  return lines.flatMap((line, index) => (isFault(line, index + 1) ? [index + 1] : []))
}

function linesMatching(text: string, pattern: RegExp): number[] {
  return [...text.matchAll(pattern)].map(({ index }) => text.slice(0, index).split('\n').length)
}

function longLuaFunctions(text: string): number[] {
  const lines: number[] = []
  luaparse.parse(text, {
    luaVersion: '5.1',
    locations: true,
    onCreateNode: ({ type, loc }) => {
      if (type !== 'FunctionDeclaration' || !loc) return
      const { start, end } = loc
      if (end.line - start.line + 1 > functionLinesMax) lines.push(start.line)
    },
  })
  return lines
}
