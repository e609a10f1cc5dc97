// The injected fault: the first attempt at one package in seven fails as busy disks make it fail.

import { createHash } from 'node:crypto'
import { join } from 'node:path'

const oneIn = 7

/** The name decides, not chance: every run injects the same faults. */
export function isFaulty(name: string): boolean {
  return createHash('sha256').update(name).digest().readUInt32BE() % oneIn === 0
}

/** What a network drive or a virus scanner does to readers now and then. */
export function busyError(folder: string): Error {
  const path = join(folder, 'package.json')
  const error = new Error(`EBUSY: resource busy or locked, open '${path}' (injected fault)`)
  return Object.assign(error, { code: 'EBUSY', syscall: 'open', path })
}
