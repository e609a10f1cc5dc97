// The demo as a process of its own, over a made-up tree of packages in a folder of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach } from 'vitest'

// As an address, because the process works in another folder. Without a wrapper around it, so that
// a kill hits the demo itself.
const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const main = join(import.meta.dirname, '../../demo/main.ts')

export interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>
  /** All that it has said on standard error, as soon as that fits the pattern. */
  said(pattern: RegExp): Promise<string>
}

export interface DemoAtHand {
  /** Where the tree is and where the demo runs. */
  readonly place: string
  run(...args: string[]): Run
}

/** Each test gets a folder with these packages, a name and a licence each, in `tree`. */
export function useDemo(licences: Readonly<Record<string, string | undefined>>): DemoAtHand {
  let place = ''
  const children: ChildProcess[] = []
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
    for (const [name, license] of Object.entries(licences)) {
      const folder = join(place, 'tree/node_modules', name)
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'package.json'), manifestOf(name, license))
    }
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await rm(place, { recursive: true })
  })
  return {
    get place() {
      return place
    },
    run(...args) {
      const run = start(place, args)
      children.push(run.child)
      return run
    },
  }
}

/** The package.json, the only file of each package. */
export function manifestOf(name: string, license: string | undefined): string {
  return JSON.stringify({ name, version: '1.0.0', license })
}

function start(cwd: string, args: readonly string[]): Run {
  const child = spawn(process.execPath, ['--import', loader, main, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => (stdout += data))
  child.stderr.on('data', (data) => (stderr += data))
  const ended = once(child, 'close').then(([status]) => ({ status, stdout, stderr }))
  return {
    child,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (pattern.test(stderr)) resolve(stderr)
        }
        look()
        child.stderr.on('data', look)
        child.once('close', () => reject(new Error(`never said ${pattern}:\n${stderr}`)))
      }),
  }
}
