// The suite `flow`: graphs of work, against BullMQ's flows of the same shape.
import type { EngineBackend } from '../../src/persistence/backend.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { type GraphSession, openBullmqGraphs, openHoldfastGraphs } from '../contestants/graphs.ts'
import {
  type Measure,
  type Spread,
  type SuiteOptions,
  type SuiteResult,
  spread,
} from '../measure.ts'
import { type BenchServer, startBenchServer } from '../server.ts'

interface Sizes {
  readonly rounds: number
  readonly flows: number
  readonly alone: number
  readonly width: number
  readonly cancels: number
  readonly members: number
}

const fullSizes: Sizes = {
  rounds: 5,
  flows: 100,
  alone: 100,
  width: 10_000,
  cancels: 50,
  members: 1000,
}
const quickSizes: Sizes = { rounds: 2, flows: 3, alone: 2, width: 20, cancels: 3, members: 70 }

const length = 10
const concurrency = 16

const opens = { holdfast: openHoldfastGraphs, bullmq: openBullmqGraphs }
type Name = keyof typeof opens

interface Samples {
  readonly chains: number[]
  readonly alone: number[]
  readonly fanOut: number[]
}

function p50(values: readonly number[]): number {
  return spread(values).median
}

/** One round of one contestant on an empty server. */
async function takeRound(session: GraphSession, sizes: Sizes, samples: Samples): Promise<void> {
  const chainsMs = await session.chains(sizes.flows, length)
  samples.chains.push((sizes.flows / chainsMs) * 1000)
  const aloneMs: number[] = []
  for (let at = 0; at < sizes.alone; at++) aloneMs.push(await session.chainAlone(length))
  samples.alone.push(p50(aloneMs))
  const fanOutMs = await session.fanOut(sizes.width)
  samples.fanOut.push((sizes.width / fanOutMs) * 1000)
}

async function compare(server: BenchServer, sizes: Sizes, note: (text: string) => void) {
  const samples: Record<Name, Samples> = {
    holdfast: { chains: [], alone: [], fanOut: [] },
    bullmq: { chains: [], alone: [], fanOut: [] },
  }
  // The first round warms up and does not count.
  for (let round = 0; round <= sizes.rounds; round++) {
    for (const name of Object.keys(opens) as Name[]) {
      note(`round ${round} of ${sizes.rounds}: ${name}`)
      await server.clear()
      const session = await opens[name](server.url, `flows-${name}`, concurrency)
      const into = round === 0 ? { chains: [], alone: [], fanOut: [] } : samples[name]
      try {
        await takeRound(session, sizes, into)
      } finally {
        await session.close()
      }
    }
  }
  return samples
}

/** How long it takes until no member of a flow is left to be cancelled. */
async function cancelFlows(server: BenchServer, sizes: Sizes): Promise<number[]> {
  await server.clear()
  const store = await openValkeyStore({ url: server.url, namespace: 'cancels' })
  const backend = createBackend(store)
  const tookMs: number[] = []
  for (let at = 0; at <= sizes.cancels; at++) {
    const flowId = await fill(backend, sizes.members)
    const startedMs = performance.now()
    const outcome = await backend.cancelFlow(flowId, 'cancel_all', 'indefinite')
    const ms = performance.now() - startedMs
    if (outcome.outcome !== 'cancelled' || outcome.unfinished > 0) {
      throw new Error(`a cancelled flow was left as ${JSON.stringify(outcome)}`)
    }
    if (at > 0) tookMs.push(ms)
  }
  await backend.close()
  return tookMs
}

async function fill(backend: EngineBackend, members: number): Promise<string> {
  const { flowId } = await backend.createFlow({ kind: 'bench' })
  const input = Buffer.from('{}')
  for (let from = 0; from < members; from += 250) {
    const count = Math.min(250, members - from)
    const ids = Array.from({ length: count }, (_, at) => backend.memberId(flowId, `${from + at}`))
    await backend.applyGraph(flowId, {
      members: ids.map((id) => ({ id, lane: 'bench', task: 'bench', input })),
    })
  }
  return flowId
}

export async function flow({ quick, note }: SuiteOptions): Promise<SuiteResult> {
  const sizes = quick ? quickSizes : fullSizes
  const server = await startBenchServer()
  try {
    const { holdfast, bullmq } = await compare(server, sizes, note)
    note(`cancelling ${sizes.cancels} flows of ${sizes.members} members`)
    const tookMs = (await cancelFlows(server, sizes)).sort((a, b) => a - b)
    const p99 = tookMs[Math.min(tookMs.length - 1, Math.floor(0.99 * tookMs.length))] ?? Number.NaN
    const pair = (name: keyof Samples): { holdfast: Spread; bullmq: Spread } => ({
      holdfast: spread(holdfast[name]),
      bullmq: spread(bullmq[name]),
    })
    const measures: readonly Measure[] = [
      { name: 'chain of 10', unit: 'flows/s', better: 'higher', ...pair('chains') },
      { name: 'chain of 10 alone p50', unit: 'ms', better: 'lower', ...pair('alone') },
      { name: 'fan-out', unit: 'executions/s', better: 'higher', ...pair('fanOut') },
      {
        name: 'cancel 1000 p99',
        unit: 'ms',
        better: 'lower',
        holdfast: { ...spread(tookMs), median: spread([p99]).median },
      },
    ]
    return {
      server: server.version,
      measures,
      remarks: [
        `chains: ${sizes.flows} flows of ${length} steps at once, ${concurrency} at a time`,
        `fan-out: a step, ${sizes.width} at once, and one that waits for all of them; BullMQ's` +
          ' jobs have one parent, so its first step is a job of its own',
        `cancel: ${sizes.cancels} flows of ${sizes.members} waiting members; shown is the p99,` +
          ' with the quickest and the slowest beside it',
      ],
    }
  } finally {
    await server.stop()
  }
}
