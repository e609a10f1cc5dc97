// The suite `signal`: how long from suspending to running again, with nobody sweeping.

import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import type { ClaimedExecution, EngineBackend } from '../../src/persistence/backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { type Measure, type SuiteOptions, type SuiteResult, spread } from '../measure.ts'
import { type BenchServer, startBenchServer } from '../server.ts'

const lane = 'bench'
const payload = Buffer.from('{"approve":true}')

interface Sizes {
  readonly rounds: number
  readonly cycles: number
}

const fullSizes: Sizes = { rounds: 5, cycles: 2000 }
const quickSizes: Sizes = { rounds: 2, cycles: 20 }

/** A worker and a sender with a connection each. */
interface Pair {
  readonly worker: EngineBackend
  readonly sender: EngineBackend
}

export async function signal({ quick, note }: SuiteOptions): Promise<SuiteResult> {
  const sizes = quick ? quickSizes : fullSizes
  const server = await startBenchServer()
  const pair = await openPair(server)
  try {
    note(`suspend, signal, running again: ${sizes.rounds} rounds of ${sizes.cycles}`)
    const rounds: number[][] = []
    // The first round warms up and does not count.
    for (let round = 0; round <= sizes.rounds; round++) {
      const tookMs = await takeCycles(pair, sizes.cycles)
      if (round > 0) rounds.push(tookMs)
    }
    const trips = await countRoundTrips(server, pair, Math.min(sizes.cycles, 100))
    return {
      server: server.version,
      measures: [
        quantile('resume p50', rounds, 0.5),
        quantile('resume p95', rounds, 0.95),
        quantile('resume p99', rounds, 0.99),
        { name: 'round trips', unit: '', better: 'lower', holdfast: spread(trips) },
      ],
      remarks: [
        'one execution suspends, is signalled over another connection and claimed again by a' +
          ' waiting claim; no sweep runs, one cycle at a time',
      ],
    }
  } finally {
    await Promise.all([pair.worker.close(), pair.sender.close()])
    await server.stop()
  }
}

async function openPair({ url }: BenchServer): Promise<Pair> {
  const open = async () => createBackend(await openValkeyStore({ url, namespace: 'bench' }))
  return { worker: await open(), sender: await open() }
}

/** How long each of so many cycles took, in milliseconds. */
async function takeCycles(pair: Pair, cycles: number): Promise<number[]> {
  const tookMs: number[] = []
  for (let cycle = 0; cycle < cycles; cycle++) {
    const held = await begin(pair)
    const { resumed, ms } = await takeCycle(pair, held)
    await pair.worker.complete(resumed.handle)
    tookMs.push(ms)
  }
  return tookMs
}

async function begin({ worker, sender }: Pair): Promise<ClaimedExecution> {
  await sender.submit({ lane, task: 'bench', input: payload })
  const [held] = await worker.claim(lane, [], { worker: 'bench' })
  if (held === undefined) throw new Error('nothing was claimed')
  return held
}

/** Suspends, signals and claims again; the claim waits before the signal is sent. */
async function takeCycle({ worker, sender }: Pair, held: ClaimedExecution) {
  const startedMs = performance.now()
  const outcome = await worker.suspend(held.handle, [{ key: 'approval' }])
  if (outcome.outcome !== 'suspended') throw new Error('there was no signal to be satisfied by')
  const claiming = worker.claim(lane, [], { worker: 'bench', maxWaitMs: 10_000 })
  const token = outcome.waitpoints[0]?.token ?? ''
  const { effect } = await sender.deliverSignal({ token, payload })
  const [resumed] = await claiming
  const ms = performance.now() - startedMs
  if (effect !== 'resume_condition_satisfied' || resumed?.attempt !== 0) {
    throw new Error('the signal did not resume the attempt')
  }
  return { resumed, ms }
}

/** What the server itself heard from clients, per cycle. */
async function countRoundTrips(
  { url }: BenchServer,
  pair: Pair,
  cycles: number,
): Promise<readonly number[]> {
  const client = new Redis(url.replace(/^valkey/, 'redis'))
  const monitor = await client.monitor()
  let heard = 0
  monitor.on('monitor', (_time: string, _args: string[], source: string) => {
    // What functions call by themselves is no round trip.
    if (source !== 'lua') heard += 1
  })
  const counts: number[] = []
  for (let cycle = 0; cycle < cycles; cycle++) {
    const held = await begin(pair)
    await caughtUp(client, monitor)
    heard = 0
    const { resumed } = await takeCycle(pair, held)
    await caughtUp(client, monitor)
    counts.push(heard - 1)
    await pair.worker.complete(resumed.handle)
  }
  monitor.disconnect()
  client.disconnect()
  return counts
}

/** The monitor hears everything in order: once it hears this, it has heard all before. */
async function caughtUp(client: Redis, monitor: Redis): Promise<void> {
  const mark = randomUUID()
  const heard = new Promise<void>((resolve) => {
    const listen = (_time: string, args: string[]) => {
      if (args[1] !== mark) return
      monitor.off('monitor', listen)
      resolve()
    }
    monitor.on('monitor', listen)
  })
  await Promise.all([client.echo(mark), heard])
}

/** One quantile of each round. */
function quantile(name: string, rounds: readonly number[][], share: number): Measure {
  const each = rounds.map((tookMs) => {
    const sorted = [...tookMs].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
  })
  return { name, unit: 'ms', better: 'lower', holdfast: spread(each) }
}
