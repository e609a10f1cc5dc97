// Clocks that stand still until a test moves them, one interface for servers and for this process.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { bundleLua } from '../../scripts/bundle-lua.ts'
import type { Library } from '../../src/persistence/valkey/library.ts'
import type { Clock } from '../../src/time.ts'

export interface SettableClock {
  nowMs(): number
  advance(ms: number): Promise<void>
  set(ms: number): Promise<void>
}

/** Far from the time of this machine, so that whoever reads the wrong clock is found out. */
export const startMs = 2_000_000_000_000

/** The function library with a clock that tests set. */
export const testLibrary: Library = bundleLua({
  'lib.clock': readFileSync(join(import.meta.dirname, 'clock.lua'), 'utf8'),
})

/** Hands every time that is set to `apply` before it counts. */
function settable(apply: (ms: number) => Promise<void>): SettableClock {
  let nowMs = startMs
  const set = async (ms: number) => {
    await apply(ms)
    nowMs = ms
  }
  return { nowMs: () => nowMs, set, advance: (ms) => set(nowMs + ms) }
}

/** The clock of an embedded store, and how to set it. */
export function settableProcessClock(): SettableClock & Clock {
  const clock = settable(async () => undefined)
  return { ...clock, nowUs: () => clock.nowMs() * 1000 }
}

/** The clock of the test library on all primaries; the library is loaded first. */
export async function settableServerClock(nodes: readonly Redis[]): Promise<SettableClock> {
  await Promise.all(
    nodes.map((node) => node.call('FUNCTION', 'LOAD', 'REPLACE', testLibrary.source)),
  )
  const clock = settable(async (ms) => {
    await Promise.all(nodes.map((node) => node.call('FCALL', `${testLibrary.name}_clock`, 0, ms)))
  })
  await clock.set(startMs)
  return clock
}
