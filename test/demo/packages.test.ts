// Finding and reading packages in small trees made for the purpose, and in our own.

import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readContents } from '../../demo/contents.ts'
import { NotAuditable, readTree } from '../../demo/packages.ts'

let project: string
const never = new AbortController().signal

beforeEach(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-demo-')))
})

afterEach(async () => {
  await rm(project, { recursive: true })
})

async function write(path: string, text: string): Promise<void> {
  const file = join(project, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

async function install(path: string, manifest: object = {}): Promise<void> {
  await write(`${path}/package.json`, JSON.stringify({ version: '1.0.0', ...manifest }))
}

async function link(path: string, target: string): Promise<void> {
  await mkdir(dirname(join(project, path)), { recursive: true })
  await symlink(target, join(project, path))
}

const paths = async (path = project) => (await readTree(path)).packages.map((one) => one.path)

describe('readTree', () => {
  it('finds scoped and nested packages, in one order', async () => {
    await install('node_modules/b/node_modules/@s/deep/node_modules/c')
    await install('node_modules/b/node_modules/@s/deep')
    await install('node_modules/b')
    await install('node_modules/@s/a', { name: '@s/a', version: '2.0.0' })
    await install('node_modules/b/lib/not-installed')
    await write('node_modules/.bin/tool', '')
    await write('node_modules/.cache/x/package.json', '{}')
    await write('node_modules/leftover/readme.md', '')
    const tree = await readTree(project)
    expect(tree.root).toBe(join(project, 'node_modules'))
    expect(tree.packages[0]).toEqual({ path: '@s/a', name: '@s/a', version: '2.0.0' })
    expect(tree.packages.map(({ path }) => path)).toEqual([
      '@s/a',
      'b',
      'b/node_modules/@s/deep',
      'b/node_modules/@s/deep/node_modules/c',
    ])
    expect(await paths(join(project, 'node_modules'))).toHaveLength(4)
  })

  it('counts each package of a pnpm tree once, at its real place', async () => {
    await install('node_modules/.pnpm/a@1.0.0/node_modules/a')
    await install('node_modules/.pnpm/b@1.0.0/node_modules/b')
    await link('node_modules/.pnpm/a@1.0.0/node_modules/b', '../../b@1.0.0/node_modules/b')
    await link('node_modules/.pnpm/node_modules/b', '../b@1.0.0/node_modules/b')
    await link('node_modules/a', '.pnpm/a@1.0.0/node_modules/a')
    expect(await paths()).toEqual(['.pnpm/a@1.0.0/node_modules/a', '.pnpm/b@1.0.0/node_modules/b'])
  })

  it('follows links to workspaces, survives cycles and reports dead links', async () => {
    await install('packages/ours', { name: 'ours' })
    await link('node_modules/ours', '../packages/ours')
    await link('packages/ours/node_modules/self', '../../ours')
    await link('packages/ours/node_modules/all', '../../../node_modules')
    await link('node_modules/gone', '../packages/gone')
    const tree = await readTree(project)
    expect(tree.packages.map(({ path }) => path)).toEqual(['../packages/ours'])
    expect(tree.brokenLinks).toEqual(['gone'])
  })

  it('keeps packages whose package.json is broken', async () => {
    await write('node_modules/@s/broken/package.json', '{ nonsense')
    await write('node_modules/nothing/package.json', 'null')
    const { packages } = await readTree(project)
    expect(packages.map(({ name, version }) => `${name}@${version}`)).toEqual([
      '@s/broken@unversioned',
      'nothing@unversioned',
    ])
  })

  it('refuses what it cannot audit', async () => {
    await expect(readTree(join(project, 'nowhere'))).rejects.toThrow(/there is no .*nowhere/)
    await expect(readTree(project)).rejects.toThrow('has no node_modules folder')
    await mkdir(join(project, 'node_modules'))
    await expect(readTree(project)).rejects.toThrow('no packages are installed')
    await write('file', '')
    await expect(readTree(join(project, 'file'))).rejects.toBeInstanceOf(NotAuditable)
  })
})

describe('readContents', () => {
  it('reads the licence files of a package and leaves nested packages out', async () => {
    await install('LICENSES-are-not-this')
    await write('package.json', '\uFEFF{"license":"SEE LICENSE IN terms.html"}')
    await write('LICENCE.md', 'a')
    await write('terms.html', 'bb')
    await write('license.js', 'module.exports = 1')
    await write('LICENSES/MIT.txt', 'ccc')
    await write('vendor/zip/COPYING', 'dddd')
    await install('node_modules/other')
    await write('node_modules/other/LICENSE', 'eeeee')
    const contents = await readContents(project, never)
    expect(contents.manifest?.license).toBe('SEE LICENSE IN terms.html')
    expect(contents.licenceFiles.map(({ path }) => path)).toEqual([
      'LICENCE.md',
      'LICENSES/MIT.txt',
      'terms.html',
      'vendor/zip/COPYING',
    ])
    expect(contents.bytes).toBe(42 + 1 + 2 + 18 + 3 + 4 + 19)
  })

  it('never reads outside the package', async () => {
    await write('secret', 'x')
    await write('inner/package.json', '{"license":"SEE LICENSE IN ../secret"}')
    await link('inner/LICENSE', '../secret')
    expect((await readContents(join(project, 'inner'), never)).licenceFiles).toEqual([])
  })

  it('reports a broken package.json as such, and a missing one as an error', async () => {
    await write('package.json', '[]')
    expect((await readContents(project, never)).manifest).toBeUndefined()
    await expect(readContents(join(project, 'gone'), never)).rejects.toThrow('ENOENT')
  })

  it('stops when told to', async () => {
    await install('.')
    await expect(readContents(project, AbortSignal.abort())).rejects.toThrow('abort')
  })
})

it('reads our own tree twice alike', async () => {
  const ours = join(import.meta.dirname, '../..')
  const tree = await readTree(ours)
  expect(tree.packages.length).toBeGreaterThan(50)
  expect(tree.packages.map(({ name }) => name)).toContain('zod')
  expect(await readTree(ours)).toEqual(tree)
})
