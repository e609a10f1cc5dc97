// The demo as people run it: a process of its own, killed, stopped and started again.

import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isFaulty } from '../../demo/fault.ts'

// As an address, because the process works in another folder. Without a wrapper around it, so that
// a kill hits the demo itself.
const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const main = join(import.meta.dirname, '../../demo/main.ts')
const packageCount = 60
const names = Array.from({ length: packageCount }, (_, index) => `package-${index}`)
const attempts = packageCount + names.filter(isFaulty).length

let place: string

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
  for (const name of names) {
    const folder = join(place, 'tree/node_modules', name)
    await mkdir(folder, { recursive: true })
    const manifest = JSON.stringify({ name, version: '1.0.0', license: 'MIT' })
    await writeFile(join(folder, 'package.json'), manifest)
  }
})

afterEach(async () => {
  await rm(place, { recursive: true })
})

interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>
}

function demo(...args: string[]): Run {
  const child = spawn(process.execPath, ['--import', loader, main, ...args], {
    cwd: place,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (data) => (stdout += data))
  child.stderr?.on('data', (data) => (stderr += data))
  const ended = once(child, 'close').then(([status]) => ({ status, stdout, stderr }))
  return { child, ended }
}

/** Until it says that some packages are finished; at that pace many are not. */
async function untilInTheMiddle({ child }: Run): Promise<void> {
  let said = ''
  for await (const [chunk] of on(child.stderr as NodeJS.ReadableStream, 'data')) {
    said += String(chunk)
    if (/^audited [1-9]/m.test(said)) return
  }
}

const here = ['--path', 'tree', '--dir', 'state/engine']
const figures = {
  packages: packageCount,
  executions: { completed: packageCount, failed: 0, cancelled: 0, expired: 0, skipped: 0 },
  attempts,
  steps: 0,
}

describe('the demo', () => {
  it('audits a tree, and has nothing left to do the second time', async () => {
    const first = await demo(...here, '--json').ended
    expect(first).toMatchObject({ status: 0 })
    expect(JSON.parse(first.stdout)).toMatchObject({ ...figures, resumed: 0 })
    expect(first.stderr).toContain(`auditing ${packageCount} packages`)
    const report = await readFile(join(place, 'state/licence-report.md'), 'utf8')
    expect(report).toContain('| package-0@1.0.0 | package-0 | MIT | permissive | field |')

    const second = await demo(...here).ended
    expect(second.stderr).toContain(`all ${packageCount} packages were already finished`)
    expect(second.stdout).toContain('Report: state/licence-report.md')

    const third = await demo(...here, '--fresh', '--json').ended
    expect(JSON.parse(third.stdout)).toMatchObject({ ...figures, resumed: 0 })
    expect(await readFile(join(place, 'state/licence-report.md'), 'utf8')).toBe(report)
  })

  it('continues after kill -9 and comes to the same figures', async () => {
    const killed = demo(...here, '--pace', '400')
    await untilInTheMiddle(killed)
    killed.child.kill('SIGKILL')
    await killed.ended

    const { status, stdout, stderr } = await demo(...here, '--json').ended
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject(figures)
    const finished = Number(/continuing: (\d+) of 60 packages/.exec(stderr)?.[1])
    expect(finished).toBeGreaterThan(0)
    expect(finished).toBeLessThan(packageCount)
    expect(JSON.parse(stdout).resumed).toBeGreaterThanOrEqual(finished)
  })

  it('stops on Ctrl-C, says how to continue, and continues', async () => {
    const stopped = demo(...here, '--pace', '400')
    await untilInTheMiddle(stopped)
    stopped.child.kill('SIGINT')
    const { status, stderr } = await stopped.ended
    expect(status).toBe(130)
    const finished = /stopped: (\d+) of 60 packages are finished/.exec(stderr)?.[1]
    expect(stderr).toContain('Run the same command again to continue')

    const next = await demo(...here, '--json').ended
    expect(next.stderr).toContain(`continuing: ${finished} of 60 packages`)
    expect(JSON.parse(next.stdout)).toMatchObject(figures)
  })

  it('fails when a package could not be audited', async () => {
    const run = demo(...here, '--pace', '400', '--json')
    await untilInTheMiddle(run)
    await rm(join(place, 'tree/node_modules/package-9'), { recursive: true })
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
    const { status, stdout, stderr } = await demo(...args).ended
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
  })
})
