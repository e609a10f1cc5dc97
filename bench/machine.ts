// Where a figure was measured, and on which versions: it means nothing without them.

import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'

export interface Machine {
  readonly cpus: number
  readonly model: string
  readonly memoryGiB: number
  readonly platform: string
  readonly node: string
}

export interface Versions {
  readonly holdfast: string
  readonly bullmq: string
  /** Name and version of the server, or `none`. */
  readonly server: string
}

const root = join(import.meta.dirname, '..')

export function describeMachine(): Machine {
  const list = cpus()
  return {
    cpus: list.length,
    model: list[0]?.model.trim() || 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
  }
}

export function describeVersions(server: string): Versions {
  return {
    holdfast: packageVersion('package.json'),
    bullmq: packageVersion('node_modules/bullmq/package.json'),
    server,
  }
}

function packageVersion(path: string): string {
  return (JSON.parse(readFileSync(join(root, path), 'utf8')) as { version: string }).version
}
