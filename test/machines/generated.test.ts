// Keeps generated files in step with their sources, and shows that a stale one is found.
import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const timeoutMs = 60_000

/** A copy of what the generator reads and writes, so that no test touches the real files. */
let copy: string

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'holdfast-generate-'))
  for (const part of ['package.json', 'tsconfig.json', 'scripts', 'src', 'lua', 'docs/reference']) {
    cpSync(join(root, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
})

afterEach(() => rmSync(copy, { recursive: true }))

function check(): { readonly status: number | null; readonly stale: readonly string[] } {
  const args = ['--import', 'tsx', 'scripts/generate.ts', '--check']
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' })
  const stale = /^stale: (.+); run/m.exec(stderr)?.[1]?.split(', ') ?? []
  if (status !== 0 && stale.length === 0) throw new Error(stderr)
  return { status, stale }
}

const generated = [
  'lua/generated/lifecycle.lua',
  'lua/generated/limits.lua',
  'lua/generated/sources.lua',
  'src/machines/generated/lifecycle.ts',
  'docs/reference/lifecycle.md',
  'src/persistence/generated/operations.ts',
]

describe('The generator', () => {
  it('finds every generated file of this repository fresh', { timeout: timeoutMs }, () => {
    expect(check()).toEqual({ status: 0, stale: [] })
  })

  it('names every generated file that somebody changed', { timeout: timeoutMs }, () => {
    for (const path of generated) appendFileSync(join(copy, path), '\n')
    // The library contains two of them, so it is stale as well.
    expect(check()).toEqual({
      status: 1,
      stale: [...generated, 'src/persistence/generated/library.ts'],
    })
  })

  it.each([
    ['the lifecycle', 'src/machines/execution.ts', "'Waits for signals.'", "'Sleeps.'", [4]],
    ['a limit', 'src/limits.ts', 'word: 64', 'word: 63', [1]],
    ['a source', 'src/machines/sources.ts', "fail: 'worker'", "fail: 'clock'", [2]],
    ['a contract', 'lua/ops/execution/watch.lua', '"id:id"', '"name:id"', [5]],
    ['any Lua module', 'lua/lib/keys.lua', '"x:"', '"y:"', []],
  ])('finds what follows from %s stale after a change', { timeout: timeoutMs }, (...change) => {
    const [, path, before, after, following] = change
    const text = readFileSync(join(copy, path), 'utf8')
    expect(text).toContain(before)
    rmSync(join(copy, path))
    appendFileSync(join(copy, path), text.replace(before, after))
    const { status, stale } = check()
    expect(status).toBe(1)
    for (const index of following) expect(stale).toContain(generated[index])
  })
})
