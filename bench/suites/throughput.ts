// The suite `throughput`: how much work one Node process moves through one server.

import { type Contestant, makePayloads, type Payload } from '../contestant.ts'
import { backendContestant } from '../contestants/backend.ts'
import { bullmqContestant } from '../contestants/bullmq.ts'
import { plainContestant } from '../contestants/plain.ts'
import { sdkContestant } from '../contestants/sdk.ts'
import { best, type Measure, type SuiteOptions, type SuiteResult, spread } from '../measure.ts'
import {
  bulkRound,
  type LifecycleSample,
  lifecycleRound,
  perSecond,
  submitInBulk,
  takeTurns,
  withSession,
} from '../rounds.ts'
import { type BenchServer, startBenchServer } from '../server.ts'

const payloadBytes = 4096
const callers = 16

interface Sizes {
  readonly rounds: number
  /** Executions per round; `one` is for workers that take one at a time. */
  readonly executions: number
  readonly one: number
  readonly bulk: number
}

const fullSizes: Sizes = { rounds: 5, executions: 10_000, one: 4000, bulk: 500 }
const quickSizes: Sizes = { rounds: 2, executions: 100, one: 20, bulk: 20 }

// What serves each of them best: more in flight makes neither quicker.
const holdfast = backendContestant({ count: 200, loops: 3, ahead: true })
const holdfastAlone = backendContestant({ count: 1, loops: 1, ahead: false })
const bullmq16 = bullmqContestant(16)
const bullmq64 = bullmqContestant(64)

interface Bench {
  readonly server: BenchServer
  readonly sizes: Sizes
  readonly payloads: readonly Payload[]
  readonly note: (text: string) => void
}

export async function throughput({ quick, note }: SuiteOptions): Promise<SuiteResult> {
  const sizes = quick ? quickSizes : fullSizes
  const payloads = makePayloads(sizes.executions, payloadBytes)
  const server = await startBenchServer()
  const bench: Bench = { server, sizes, payloads, note }
  try {
    const { submit, process, serverTime, remarks } = await measureLifecycles(bench)
    const bulk = await measureBulk(bench)
    const sdk: Measure[] = []
    for (const concurrency of [16, 1, 100]) sdk.push(await measureSdk(bench, concurrency))
    const alone = await describeAlone(bench)
    return {
      server: server.version,
      measures: [submit, bulk, process, ...sdk, serverTime],
      remarks: [...remarks, alone],
    }
  } finally {
    await server.stop()
  }
}

async function measureLifecycles({ server, sizes, payloads, note }: Bench) {
  note(`submit, claim + complete, server time: ${sizes.rounds} rounds`)
  const contestants = [holdfast, bullmq16, bullmq64, plainContestant]
  const samples = await takeTurns(server, sizes.rounds, contestants, (contestant, name) =>
    withSession(server, contestant, name, (session) =>
      lifecycleRound(server, session, { payloads, callers }),
    ),
  )
  const measure = (
    name: string,
    unit: string,
    better: Measure['better'],
    figure: (sample: LifecycleSample) => number,
  ): Measure => {
    const of = (contestant: Contestant) => spread((samples.get(contestant) ?? []).map(figure))
    const bullmq = best(better, of(bullmq16), of(bullmq64))
    return { name, unit, better, holdfast: of(holdfast), bullmq, plain: of(plainContestant) }
  }
  return {
    submit: measure('submit', '/s', 'higher', ({ submitsPerS }) => submitsPerS),
    process: measure('claim + complete', '/s', 'higher', ({ pairsPerS }) => pairsPerS),
    serverTime: measure(
      'server time per lifecycle',
      'µs',
      'lower',
      ({ submitUs, processUs }) => submitUs + processUs,
    ),
    remarks: [
      `${payloads.length} executions a round, ${payloadBytes} bytes each, ${callers} submitters;` +
        ' Holdfast claims up to 200 at a time, three times at once;' +
        ' BullMQ is the better of concurrency 16 and 64:',
      ...contestants.map((contestant) =>
        describeSamples(contestant, samples.get(contestant) ?? []),
      ),
    ],
  }
}

function describeSamples({ title }: Contestant, samples: readonly LifecycleSample[]): string {
  const median = (figure: (sample: LifecycleSample) => number) =>
    spread(samples.map(figure)).median.toFixed(0)
  const [submitUs, processUs] = [median((one) => one.submitUs), median((one) => one.processUs)]
  return [
    `  ${title}: ${median((one) => one.submitsPerS)} submitted/s`,
    `${median((one) => one.pairsPerS)} processed/s`,
    `in commands ${submitUs} + ${processUs} µs`,
    `server in all ${median((one) => one.serverUs)} µs`,
  ].join(', ')
}

async function measureBulk({ server, sizes, payloads, note }: Bench): Promise<Measure> {
  note(`bulk submit: ${sizes.rounds} rounds`)
  const contestants = [holdfast, bullmq16, plainContestant]
  const samples = await takeTurns(server, sizes.rounds, contestants, (contestant, name) =>
    withSession(server, contestant, name, (session) => bulkRound(session, payloads, sizes.bulk)),
  )
  const of = (contestant: Contestant) => spread(samples.get(contestant) ?? [])
  return {
    name: 'bulk submit',
    unit: '/s',
    better: 'higher',
    holdfast: of(holdfast),
    bullmq: of(bullmq16),
    plain: of(plainContestant),
  }
}

async function measureSdk(bench: Bench, concurrency: number): Promise<Measure> {
  const { server, sizes, payloads, note } = bench
  note(`sdk ${concurrency}: ${sizes.rounds} rounds`)
  const sdk = sdkContestant(concurrency)
  const bullmq = bullmqContestant(concurrency)
  const work = concurrency === 1 ? payloads.slice(0, sizes.one) : payloads
  const samples = await takeTurns(server, sizes.rounds, [sdk, bullmq], (contestant, name) =>
    withSession(server, contestant, name, async (session) => {
      await submitInBulk(session, work, sizes.bulk)
      const ms = await session.process(work.length)
      await session.verifyCompleted(work.length)
      return perSecond(work.length, ms)
    }),
  )
  return {
    name: `sdk ${concurrency}`,
    unit: '/s',
    better: 'higher',
    holdfast: spread(samples.get(sdk) ?? []),
    bullmq: spread(samples.get(bullmq) ?? []),
  }
}

/** What a lifecycle costs when none of its three calls shares the way with another. */
async function describeAlone({ server, sizes, payloads, note }: Bench): Promise<string> {
  note('one call at a time')
  const work = payloads.slice(0, sizes.one)
  const samples = await takeTurns(server, 1, [holdfastAlone], (contestant, name) =>
    withSession(server, contestant, name, (session) =>
      lifecycleRound(server, session, { payloads: work, callers: 1 }),
    ),
  )
  const title = `${holdfastAlone.title}, one call at a time`
  return describeSamples({ ...holdfastAlone, title }, samples.get(holdfastAlone) ?? [])
}
