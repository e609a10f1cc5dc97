// The order of an audit: what Node would resolve in the tree, without the circles.

import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { orderLines, readGraph, withoutCircles } from '../../demo/dependencies.ts'
import { Held } from '../../demo/held.ts'
import { readTree } from '../../demo/packages.ts'
import { useDemo } from './demo-process.ts'

describe('the order of an audit', () => {
  let project: string
  beforeEach(async () => {
    project = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-demo-')))
  })
  afterEach(() => rm(project, { recursive: true }))

  async function install(path: string, manifest: object = {}): Promise<void> {
    const file = join(project, 'node_modules', path, 'package.json')
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, JSON.stringify({ version: '1.0.0', ...manifest }))
  }

  async function edges(): Promise<string[]> {
    const tree = await readTree(project)
    const { before } = await readGraph(tree)
    const path = (index: number) => tree.packages[index]?.path
    return before.flatMap((list, index) => list.map((one) => `${path(index)} after ${path(one)}`))
  }

  it('is that in which Node finds them: the nearest first, and none that is missing', async () => {
    const dependencies = { near: '1', far: '1', missing: '1' }
    await install('a', { dependencies, devDependencies: { dev: '1' } })
    await install('a/node_modules/near', { optionalDependencies: { '@s/far': '1' } })
    await install('near')
    await install('far', { dependencies: 'none' })
    await install('@s/far')
    await install('dev', { peerDependencies: { near: '1' } })
    expect(await edges()).toEqual([
      'a after a/node_modules/near',
      'a after far',
      'a/node_modules/near after @s/far',
    ])
  })

  it('follows the links of a pnpm tree', async () => {
    await install('.pnpm/a@1/node_modules/a', { dependencies: { b: '1' } })
    await install('.pnpm/b@1/node_modules/b')
    await symlink(
      '../../b@1/node_modules/b',
      join(project, 'node_modules/.pnpm/a@1/node_modules/b'),
    )
    await symlink('.pnpm/a@1/node_modules/a', join(project, 'node_modules/a'))
    expect(await edges()).toEqual(['.pnpm/a@1/node_modules/a after .pnpm/b@1/node_modules/b'])
  })

  it('leaves a dependency out that closes a circle, always the same one', async () => {
    await install('a', { name: 'a', dependencies: { b: '1' } })
    await install('b', { name: 'b', dependencies: { c: '1' } })
    await install('c', { name: 'c', dependencies: { a: '1', c: '1' } })
    const tree = await readTree(project)
    const graph = await readGraph(tree)
    expect(graph).toEqual({
      order: [2, 1, 0],
      before: [[1], [2], []],
      cut: [
        { from: 2, to: 0 },
        { from: 2, to: 2 },
      ],
    })
    expect(orderLines(tree, graph)).toEqual([
      'Audited after what each depends on: 2 dependencies.',
      'Left out, because they close circles (2):',
      '  c@1.0.0 → a@1.0.0',
      '  c@1.0.0 → c@1.0.0',
    ])
  })
})

it('puts every package after what comes before it, whatever depends on what', () => {
  const count = 60
  const dependencies = Array.from({ length: count }, (_, index) =>
    [index * 7 + 3, index * 13 + 5, index * 29].map((number) => number % count),
  )
  const { order, before, cut } = withoutCircles(dependencies)
  expect([...order].sort((one, other) => one - other)).toEqual([...dependencies.keys()])
  const place = new Map(order.map((index, at) => [index, at]))
  for (const [index, list] of before.entries()) {
    for (const one of list) expect(place.get(one)).toBeLessThan(place.get(index) as number)
  }
  expect(before.flat().length + cut.length).toBe(dependencies.flat().length)
})

it('counts what is held back until all before it have ended', () => {
  const held = new Held({ order: [0, 1, 2], before: [[], [0], [0, 1]], cut: [] })
  expect(held.count).toBe(2)
  held.ended(0)
  expect(held.count).toBe(1)
  held.ended(2)
  held.ended(1)
  expect(held.count).toBe(0)
})

describe('an audit of packages that depend on each other', () => {
  const names = Array.from({ length: 12 }, (_, index) => `link-${index}`)
  const demo = useDemo({
    base: 'MPL-2.0',
    ...Object.fromEntries(names.map((name) => [name, 'MIT'])),
  })
  const here = ['--path', 'tree', '--dir', 'state/engine']

  /** Each after the one before it, the first after `base`. */
  beforeEach(async () => {
    for (const [index, name] of names.entries()) {
      const dependencies = { [index === 0 ? 'base' : `link-${index - 1}`]: '1' }
      const file = join(demo.place, 'tree/node_modules', name, 'package.json')
      const manifest = { name, version: '1.0.0', license: 'MIT', dependencies }
      await writeFile(file, JSON.stringify(manifest))
    }
  })

  it('waits for the approval of one before it audits what depends on it', async () => {
    const run = demo.run(...here)
    const text = await run.said(/Everything else is done: 1 package waits/)
    expect(text).toContain('Behind: 12 packages that depend on them.')
    const link = /^(http\S+)$/m.exec(text)?.[1] ?? ''
    const body = '{"approve":true}'
    const headers = { 'content-type': 'application/json' }
    expect((await fetch(link, { method: 'POST', headers, body })).status).toBe(202)
    const { status, stdout } = await run.ended
    expect(status).toBe(0)
    expect(stdout).toContain('Audited after what each depends on: 12 dependencies.')
  })

  it('goes on behind the packages that were finished when it was stopped, twice', async () => {
    let finished = 0
    for (let turn = 0; turn < 2; turn++) {
      const stopped = demo.run(...here, '--approve-all', '--pace', '150')
      await stopped.said(new RegExp(`^audited (?!${finished} )[1-9]`, 'm'))
      stopped.child.kill('SIGINT')
      const { status, stderr } = await stopped.ended
      expect(status).toBe(130)
      expect(stderr).toContain('Ctrl-C again kills')
      const said = /stopped: (\d+) of 13 packages are finished/.exec(stderr)?.[1]
      expect(Number(said)).toBeGreaterThan(finished)
      finished = Number(said)
    }
    const last = await demo.run(...here, '--approve-all', '--json').ended
    expect(last.stderr).toContain(`continuing: ${finished} of 13 packages`)
    expect(JSON.parse(last.stdout)).toMatchObject({ packages: 13, executions: { completed: 13 } })
  })

  it('keeps what is finished when packages are added', async () => {
    await demo.run(...here, '--approve-all').ended
    const folder = join(demo.place, 'tree/node_modules/late')
    await mkdir(folder)
    const late = { name: 'late', version: '1.0.0', license: 'MIT', dependencies: { base: '1' } }
    await writeFile(join(folder, 'package.json'), JSON.stringify(late))
    const { stdout, stderr } = await demo.run(...here, '--approve-all', '--json').ended
    expect(stderr).toContain('continuing: 13 of 14 packages were already finished')
    expect(JSON.parse(stdout)).toMatchObject({ executions: { completed: 14 }, resumed: 1 })
  })
})
