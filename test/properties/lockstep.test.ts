// Random sequences of all operations on the model and on a server, in lockstep.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readRefusalCodes } from '../../scripts/lua-contracts.ts'
import type { Performed } from './checkers/performed.ts'
import { type Seed, seedsOf } from './choices.ts'
import { commands } from './commands/table.ts'
import { Coverage } from './coverage.ts'
import { runOnModel } from './model-run.ts'
import { type LockstepServer, startLockstep } from './server-run.ts'
import { smallLibrary } from './small-limits.ts'
import { written } from './written.ts'

const runs = Number(process.env.HOLDFAST_PROPERTY_RUNS ?? 1000)
/** Sequences have any length up to this, half of it on average. */
const commandsMax = 100
/** A gate of a busy machine with two cores. */
const timeoutMs = Math.max(120_000, runs * 300)
const file = join(import.meta.dirname, 'failing-seeds.json')

/** Outcomes that take several partitions: the tests of the relay come to them. */
const ofSeveral = ['limit.admit held']

/** Codes that Lua does not spell where it refuses with them. */
const computedCodes = ['token_expired']

interface FailingSeed {
  readonly seed: number
  readonly path: string
}

let server: LockstepServer
const coverage = new Coverage()
let totalMs = 0

beforeAll(async () => {
  server = await startLockstep(smallLibrary())
})

afterAll(async () => {
  await server.stop()
  const steps = [...coverage.counts.values()].reduce((sum, count) => sum + count, 0)
  console.log(`lockstep: ${steps} calls, ${(totalMs / 1000).toFixed(1)} s\n${coverage.table()}`)
})

/** The steps of a failing sequence, to be read by whoever looks for the fault. */
function trace(performed: readonly Performed[]): string {
  const line = ({ nowMs, call, isAgain }: Performed) =>
    `at ${nowMs} ${call.name} ${written(call.args)}${isAgain ? ' (again)' : ''}`
  return performed.map(line).join('\n')
}

async function inLockstep(seeds: readonly Seed[]): Promise<void> {
  const session = await server.begin()
  const { performed, problem } = await runOnModel(seeds, (step) => session.add(step))
  const difference = await session.finish()
  if (problem !== undefined) throw new Error(`${problem}\n${trace(performed)}`)
  if (difference !== undefined) throw new Error(`${difference}\n${trace(performed)}`)
  for (const step of performed) coverage.add(step)
}

const sequences = fc.asyncProperty(seedsOf(commands.length, commandsMax), inLockstep)

function failingSeeds(): FailingSeed[] {
  return JSON.parse(readFileSync(file, 'utf8')) as FailingSeed[]
}

describe('Model and server', () => {
  it('agree on every sequence that they once did not agree on', {
    timeout: timeoutMs,
  }, async () => {
    for (const { seed, path } of failingSeeds()) {
      await fc.assert(sequences, { seed, path, numRuns: 1, endOnFailure: true })
    }
  })

  it('agree on every answer and all that is stored', { timeout: timeoutMs }, async () => {
    const startedMs = performance.now()
    // A failing sequence is made shorter for as long as there is time.
    const interruptAfterTimeLimit = timeoutMs - 60_000
    const report = await fc.check(sequences, { numRuns: runs, interruptAfterTimeLimit })
    totalMs = performance.now() - startedMs
    if (!report.failed) return expect(report.numRuns).toBe(runs)
    const path = report.counterexamplePath ?? ''
    const failing = [...failingSeeds(), { seed: report.seed, path }]
    writeFileSync(file, `${JSON.stringify(failing, undefined, 2)}\n`)
    const why = report.errorInstance instanceof Error ? report.errorInstance.message : ''
    expect.fail(`seed ${report.seed}, path ${path}\n${why}`)
  })

  it('were asked for every outcome and every refusal', () => {
    expect(coverage.missing()).toEqual(ofSeveral)
    const codes = [...readRefusalCodes(), ...computedCodes]
    expect(codes.filter((code) => !coverage.refusals.has(code))).toEqual([])
  })
})
