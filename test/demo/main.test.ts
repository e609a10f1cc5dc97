// The demo as people run it: a process of its own, killed, stopped and started again.

import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isFaulty } from '../../demo/fault.ts'
import { useDemo } from './demo-process.ts'

const packageCount = 60
const names = Array.from({ length: packageCount }, (_, index) => `package-${index}`)
const attempts = packageCount + names.filter(isFaulty).length
const demo = useDemo(Object.fromEntries(names.map((name) => [name, 'MIT'])))

/** Until it says that some packages are finished; at that pace many are not. */
const inTheMiddle = /^audited [1-9]/m

const here = ['--path', 'tree', '--dir', 'state/engine']
const figures = {
  packages: packageCount,
  executions: { completed: packageCount, failed: 0, cancelled: 0, expired: 0, skipped: 0 },
  attempts,
  steps: 0,
}

async function declare(name: string, fields: object): Promise<void> {
  const path = join(demo.place, 'tree/node_modules', name, 'package.json')
  await writeFile(path, JSON.stringify({ name, version: '1.0.0', ...fields }))
}

describe('the demo', () => {
  it('audits a tree, and has nothing left to do the second time', async () => {
    const first = await demo.run(...here, '--json').ended
    expect(first).toMatchObject({ status: 0 })
    expect(JSON.parse(first.stdout)).toMatchObject({ ...figures, resumed: 0 })
    expect(first.stderr).toContain(`auditing ${packageCount} packages`)
    const report = await readFile(join(demo.place, 'state/licence-report.md'), 'utf8')
    expect(report).toContain('| package-0@1.0.0 | package-0 | MIT | permissive | field |')

    const second = await demo.run(...here).ended
    expect(second.stderr).toContain(`all ${packageCount} packages were already finished`)
    expect(second.stdout).toContain('Report: state/licence-report.md')

    const third = await demo.run(...here, '--fresh', '--json').ended
    expect(JSON.parse(third.stdout)).toMatchObject({ ...figures, resumed: 0 })
    expect(await readFile(join(demo.place, 'state/licence-report.md'), 'utf8')).toBe(report)
  })

  it('continues after kill -9 and comes to the same figures', async () => {
    const killed = demo.run(...here, '--pace', '400')
    await killed.said(inTheMiddle)
    killed.child.kill('SIGKILL')
    await killed.ended

    const { status, stdout, stderr } = await demo.run(...here, '--json').ended
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ...figures, resumed: 0 })
    const finished = Number(/continuing: (\d+) of 60 packages/.exec(stderr)?.[1])
    expect(finished).toBeGreaterThan(0)
    expect(finished).toBeLessThan(packageCount)
  })

  it('stops on Ctrl-C, says how to continue, and continues', async () => {
    const stopped = demo.run(...here, '--pace', '400')
    await stopped.said(inTheMiddle)
    stopped.child.kill('SIGINT')
    const { status, stderr } = await stopped.ended
    expect(status).toBe(130)
    const finished = /stopped: (\d+) of 60 packages are finished/.exec(stderr)?.[1]
    expect(stderr).toContain('Run the same command again to continue')

    const next = await demo.run(...here, '--json').ended
    expect(next.stderr).toContain(`continuing: ${finished} of 60 packages`)
    expect(JSON.parse(next.stdout)).toMatchObject(figures)
  })

  it('fails when a package could not be audited', async () => {
    // Cannot be audited before the package that it depends on, and that waits for an answer.
    await declare('package-8', {})
    await declare('package-9', { license: 'MIT', dependencies: { 'package-8': '*' } })
    const run = demo.run(...here, '--json')
    const [link] = /http\S+$/m.exec(await run.said(/Everything else is done: 1 package/)) ?? []
    await rm(join(demo.place, 'tree/node_modules/package-9'), { recursive: true })
    await fetch(`${link}`, { method: 'POST' })
    const { status, stdout, stderr } = await run.ended
    expect(status).toBe(1)
    expect(JSON.parse(stdout).executions).toMatchObject({ completed: 59, failed: 1 })
    expect(stderr).toMatch(/package-9@1\.0\.0: failed/)
  })

  it.each([
    [['--unknown'], "Unknown option '--unknown'"],
    [['--path', 'nowhere'], 'there is no '],
    [['--path', 'tree/node_modules/package-1'], 'has no node_modules folder'],
  ])('refuses %j with status 2', async (args, message) => {
    const { status, stdout, stderr } = await demo.run(...args).ended
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
  })
})
