// Runs every TypeScript snippet of the documentation and compares what it prints.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)

interface Snippet {
  readonly where: string
  readonly code: string
  /** The comment lines that say what is printed. */
  readonly expected: string
}

/** Snippets of a text; `strip` removes what stands in front of each line, as in a docstring. */
function snippetsOf(path: string, text: string, strip: RegExp): Snippet[] {
  const plain = text.replace(strip, '')
  return [...plain.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => {
    const code = match[1] as string
    const line = plain.slice(0, match.index).split('\n').length
    const expected = [...code.matchAll(/^\/\/ (.*)$/gm)].map(([, output]) => output).join('\n')
    return { where: `${path}:${line}`, code, expected }
  })
}

function collect(): Snippet[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /^(docs|src)\/|^[A-Z]+\.md$/.test(path) && !path.includes('generated'))
    .sort()
  return files.flatMap((path) => {
    if (path.endsWith('.md'))
      return snippetsOf(path, readFileSync(join(root, path), 'utf8'), /(?!)/g)
    if (path.endsWith('.ts'))
      return snippetsOf(path, readFileSync(join(root, path), 'utf8'), /^ \* ?/gm)
    return []
  })
}

describe('every snippet prints what it says', () => {
  const snippets = collect()
  let folder = ''

  beforeAll(() => {
    folder = mkdtempSync(join(root, 'node_modules', '.snippets-'))
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('finds snippets in the pages and in the docstrings', () => {
    const places = snippets.map(({ where }) => where)
    expect(places).toContainEqual(expect.stringMatching(/^README\.md/))
    expect(places).toContainEqual(expect.stringMatching(/^docs\//))
    expect(places).toContainEqual(expect.stringMatching(/^src\//))
  })

  it.each(snippets)('$where', async ({ where, code, expected }) => {
    const file = join(folder, `${where.replace(/\W/g, '-')}.mts`)
    const entry = JSON.stringify(join(root, 'src', 'index.ts'))
    writeFileSync(file, code.replace(/'holdfast'/g, entry))
    const { stdout } = await run(process.execPath, ['--import', 'tsx', file], { cwd: root })
    expect(stdout.trimEnd()).toBe(expected)
  })
})
