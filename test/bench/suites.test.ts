// The bench as people run it, with tiny rounds: what it prints, not how fast anything is.

import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Measure, Spread } from '../../bench/measure.ts'

const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const main = join(import.meta.dirname, '../../bench/main.ts')

async function bench(...args: string[]) {
  const child = spawn(process.execPath, ['--import', loader, main, ...args])
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { status: await ended, stdout, stderr }
}

const rival = { bullmq: true, plain: true }
const alone = { bullmq: false, plain: false }
const throughput = [
  { name: 'submit', unit: '/s', better: 'higher', ...rival },
  { name: 'bulk submit', unit: '/s', better: 'higher', ...rival },
  { name: 'claim + complete', unit: '/s', better: 'higher', ...rival },
  { name: 'sdk 16', unit: '/s', better: 'higher', bullmq: true, plain: false },
  { name: 'sdk 1', unit: '/s', better: 'higher', bullmq: true, plain: false },
  { name: 'sdk 100', unit: '/s', better: 'higher', bullmq: true, plain: false },
  { name: 'server time per lifecycle', unit: 'µs', better: 'lower', ...rival },
]

const signal = [
  { name: 'resume p50', unit: 'ms', better: 'lower', ...alone },
  { name: 'resume p95', unit: 'ms', better: 'lower', ...alone },
  { name: 'resume p99', unit: 'ms', better: 'lower', ...alone },
  { name: 'round trips', unit: '', better: 'lower', ...alone },
]

const flow = [
  { name: 'chain of 10', unit: 'flows/s', better: 'higher', bullmq: true, plain: false },
  { name: 'chain of 10 alone p50', unit: 'ms', better: 'lower', bullmq: true, plain: false },
  { name: 'fan-out', unit: 'executions/s', better: 'higher', bullmq: true, plain: false },
  { name: 'cancel 1000 p99', unit: 'ms', better: 'lower', ...alone },
]

function expectPositive({ median, min, max, n }: Spread): void {
  expect(min).toBeGreaterThan(0)
  expect(median).toBeGreaterThanOrEqual(min)
  expect(max).toBeGreaterThanOrEqual(median)
  expect(n).toBeGreaterThanOrEqual(2)
}

describe('npm run bench', () => {
  it.each(Object.entries({ throughput, signal, flow }))(
    'prints one JSON object with the measures of the contract: %s',
    async (suite, contract) => {
      const { status, stdout, stderr } = await bench(suite, '--quick', '--json')
      expect(status, stderr).toBe(0)
      const report = JSON.parse(stdout)
      expect(Object.keys(report)).toEqual(['suite', 'machine', 'versions', 'measures'])
      expect(report.suite).toBe(suite)
      expect(report.machine).toEqual({
        cpus: expect.any(Number),
        model: expect.any(String),
        memoryGiB: expect.any(Number),
        platform: expect.any(String),
        node: process.versions.node,
      })
      expect(report.versions).toEqual({
        holdfast: expect.stringMatching(/^\d/),
        bullmq: expect.stringMatching(/^\d/),
        server: expect.stringMatching(/^valkey \d/),
      })
      const measures: Measure[] = report.measures
      expect(
        measures.map(({ name, unit, better, bullmq, plain }) => ({
          ...{ name, unit, better },
          bullmq: bullmq !== undefined,
          plain: plain !== undefined,
        })),
      ).toEqual(contract)
      for (const { holdfast, bullmq, plain } of measures) {
        for (const spread of [holdfast, bullmq, plain]) if (spread) expectPositive(spread)
      }
    },
  )

  it('refuses a suite that does not exist', async () => {
    const { status, stdout, stderr } = await bench('througput')
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('there is no suite througput')
  })
})
